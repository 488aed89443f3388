"""Keeps how far each stream was read, and how much of it by the hour: hours held and hours behind are made of that."""

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.named_values import insert_into
from services.tracer.keep.tables import hours, readings

#: Hours of which it is kept how much was read; no stream is taken to hold more than its age bound allows.
HOURS = 24 * 7
#: Bytes that a message takes in a stream beside its body: headers, properties, framing.
MESSAGE_BYTES = 250


async def note_reading(
    db: AsyncConnection, stream: str, offset: int | None, newest: datetime | None, at: datetime
) -> None:
    """Store how far a stream was read and the time of its newest fact; a batch without facts keeps that time.

    The newest time only grows, and one that is ahead of ours counts as ours.
    """
    time = min(newest, at).timestamp() if newest else 0.0
    adding = insert_into(db, readings).values(stream=stream, offset=offset or 0, time=time, at=at.timestamp())
    fresh = {"offset": adding.excluded.offset, "at": adding.excluded.at}
    await db.execute(adding.on_conflict_do_update(index_elements=["stream"], set_=fresh))
    if newest is not None:
        later = readings.update().where(readings.c.stream == stream, readings.c.time < time)
        await db.execute(later.values(time=time))


async def note_size(
    db: AsyncConnection, stream: str, bodies: list[int], facts: int, newest: datetime | None, at: datetime
) -> None:
    """Add a batch, given by the sizes of its bodies, to the hour of its newest fact."""
    hour = int((min(newest, at) if newest else at).timestamp() // 3600)
    size = sum(bodies) + MESSAGE_BYTES * len(bodies)
    adding = insert_into(db, hours).values(stream=stream, hour=hour, messages=len(bodies), bytes=size, facts=facts)
    more = {name: hours.c[name] + adding.excluded[name] for name in ("messages", "bytes", "facts")}
    await db.execute(adding.on_conflict_do_update(index_elements=["stream", "hour"], set_=more))
