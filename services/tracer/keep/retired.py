"""Keeps which services a person retired, until they are heard again."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import Heartbeat, Retired
from hocket.console.named_values import insert_into, set_value
from services.tracer.keep.declared import DECLARED, mark_concerned
from services.tracer.keep.tables import expectations, heartbeats, marks, retired

#: A heartbeat so much later than the last that the desk knew is a sign of life. Less is how far two readers differ
#: about a clock that is ahead of theirs.
SLACK = timedelta(seconds=5)


async def keep_retired(db: AsyncConnection, found: Sequence[Retired], at: datetime) -> None:
    """Keep that these services were retired, unless they were heard since, and fold again what waited for them."""
    for each in found:
        newest = await db.scalar(select(func.max(heartbeats.c.time)).where(heartbeats.c.service == each.retires))
        last = min(each.last, at).timestamp()
        if newest is not None and newest > last + SLACK.total_seconds():
            continue
        row = {"time": min(each.time, at).timestamp(), "last": last, "by": each.by, "reason": each.reason}
        adding = insert_into(db, retired).values(service=each.retires, **row)
        await db.execute(adding.on_conflict_do_update(index_elements=["service"], set_=row))
        await _changed(db, each.retires, last, at)


async def return_heard(db: AsyncConnection, beats: Iterable[Heartbeat], at: datetime) -> None:
    """A retired service that is heard again is retired no more: by itself, with its first heartbeat."""
    newest: dict[str, datetime] = {}
    for beat in beats:
        newest[beat.service] = max(newest.get(beat.service, beat.time), beat.time)
    if not newest:
        return
    names = select(retired.c.service, retired.c.last).where(retired.c.service.in_(newest))
    for service, last in (await db.execute(names)).all():
        if newest[service].timestamp() > last + SLACK.total_seconds():
            await db.execute(delete(retired).where(retired.c.service == service))
            await _changed(db, service, last, at)


async def _changed(db: AsyncConnection, service: str, since: float, at: datetime) -> None:
    """What is expected is another from here on: have it read again, and the flows concerned folded again."""
    mine = expectations.c.subscription.startswith(f"{service}.", autoescape=True)
    types = (await db.execute(select(expectations.c.type).where(mine).distinct())).scalars()
    await mark_concerned(db, set(types), since, at)
    await set_value(db, marks, DECLARED, uuid4().hex)
