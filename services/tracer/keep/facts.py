"""Stores facts, each once, and reads them back by flow; marks the flows that a new fact concerns."""

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.fold.expectations import Expected, expectations
from services.tracer.keep.tables import (
    aside,
    events,
    flows,
    heartbeats,
    insert_into,
    manifests,
    readings,
    receipts,
)
from services.tracer.read.decode import Aside
from services.tracer.read.facts import Heartbeat, Manifest, Receipt, Said, utc

#: Facts of one flow that are read; a flow beyond it is shown by its first ones.
MAX_FACTS = 20_000
#: Values in one `IN (…)`; every database accepts so many.
IN_LIMIT = 500
#: Most facts that are kept aside, and bytes of each.
MAX_ASIDE = 10_000
ASIDE_BYTES = 2_000


async def keep_events(db: AsyncConnection, said: Sequence[Said]) -> None:
    """Store events that are new by (source, id) and mark their flows."""
    if not said:
        return
    rows = [
        {
            "source": each.source, "id": each.id, "type": each.type, "version": each.version, "subject": each.subject,
            "time": each.time.timestamp(), "flow": each.flow, "cause": each.cause, "data": each.data,
        }
        for each in said
    ]  # fmt: skip
    await db.execute(insert_into(db, events).on_conflict_do_nothing(), rows)
    await mark_stale(db, {each.flow for each in said})


async def keep_receipts(db: AsyncConnection, told: Sequence[Receipt]) -> None:
    """Store receipts that are new by their key and mark their flows."""
    if not told:
        return
    rows = [
        {
            "subscription": each.subscription, "event_source": each.event.source, "event_id": each.event.id,
            "attempt": each.attempt, "outcome": each.outcome, "boot": each.boot, "time": each.time.timestamp(),
            "flow": each.correlationid, "subject": each.subject, "fact": each.model_dump_json(exclude_defaults=True),
        }
        for each in told
    ]  # fmt: skip
    await db.execute(insert_into(db, receipts).on_conflict_do_nothing(), rows)
    await mark_stale(db, {each.correlationid for each in told if each.correlationid})


async def keep_manifests(db: AsyncConnection, seen: Sequence[Manifest]) -> None:
    """Store manifests by their content with the first and last time it was seen; a new one marks flows."""
    for each in seen:
        content = each.model_dump_json(exclude={"time"})
        digest = hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
        when = each.time.timestamp()
        known = (
            await db.execute(
                select(manifests.c.first).where(manifests.c.service == each.service, manifests.c.digest == digest)
            )
        ).scalar()
        row = {"service": each.service, "digest": digest, "content": content, "first": when, "last": when}
        await db.execute(
            insert_into(db, manifests)
            .values(row)
            .on_conflict_do_update(
                index_elements=["service", "digest"],
                set_={
                    "first": case((manifests.c.first < when, manifests.c.first), else_=when),
                    "last": case((manifests.c.last > when, manifests.c.last), else_=when),
                },
            )
        )
        if known is None or when < known:
            await _mark_concerned(db, each)


async def _mark_concerned(db: AsyncConnection, manifest: Manifest) -> None:
    """Mark flows with an event that this manifest hears and that was said since: their state may have changed."""
    types = {name for each in manifest.subscriptions for name, _ in (*each.hears, *each.why)}
    if types:
        concerned = select(events.c.flow).where(
            events.c.type.in_(sorted(types)), events.c.time >= manifest.time.timestamp()
        )
        await db.execute(update(flows).where(flows.c.id.in_(concerned)).values(stale=True))


async def keep_heartbeats(db: AsyncConnection, beats: Sequence[Heartbeat]) -> None:
    """Keep the newest heartbeat of each instance."""
    for each in beats:
        adding = insert_into(db, heartbeats).values(
            service=each.service, instance=each.instance, time=each.time.timestamp(), fact=each.model_dump_json()
        )
        await db.execute(
            adding.on_conflict_do_update(
                index_elements=["service", "instance"],
                set_={"time": adding.excluded.time, "fact": adding.excluded.fact},
                where=heartbeats.c.time < adding.excluded.time,
            )
        )


async def keep_aside(db: AsyncConnection, found: Sequence[Aside]) -> None:
    """Store what could not be read, its first bytes and the reason; the newest `MAX_ASIDE` are kept."""
    if not found:
        return
    rows = [
        {"stream": each.stream, "place": each.place, "why": _storable(each.why), "body": each.body[:ASIDE_BYTES]}
        for each in found
    ]
    await db.execute(insert_into(db, aside).on_conflict_do_nothing(), rows)
    oldest = select(aside.c.place).order_by(aside.c.place.desc()).offset(MAX_ASIDE)
    await db.execute(delete(aside).where(aside.c.place.in_(oldest)))


def _storable(said: str) -> str:
    """An error text in a form that every database accepts."""
    return said.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


async def note_reading(
    db: AsyncConnection, stream: str, offset: int | None, newest: datetime | None, at: datetime
) -> None:
    """Store how far a stream was read and the time of its newest fact; a batch without facts keeps that time."""
    adding = insert_into(db, readings).values(
        stream=stream, offset=offset or 0, time=newest.timestamp() if newest else 0.0, at=at.timestamp()
    )
    fresh = {"offset": adding.excluded.offset, "time": adding.excluded.time, "at": adding.excluded.at}
    if newest is None:
        fresh = {"offset": adding.excluded.offset}
    await db.execute(adding.on_conflict_do_update(index_elements=["stream"], set_=fresh))


async def mark_stale(db: AsyncConnection, ids: set[str]) -> None:
    """Mark these flows to be folded again."""
    if not ids:
        return
    blank = {
        "stale": True, "state": "running", "subject": "", "type": "", "began": 0.0, "ended": 0.0, "waits": "",
        "since": 0.0, "dead": 0, "events": 0,
    }  # fmt: skip
    adding = insert_into(db, flows).on_conflict_do_update(index_elements=["id"], set_={"stale": True})
    await db.execute(adding, [{"id": each, **blank} for each in sorted(ids)])


async def all_manifests(db: AsyncConnection) -> list[tuple[Manifest, datetime]]:
    """Every manifest ever seen, by content, as of its last time, and when it was first seen."""
    rows = await db.execute(select(manifests.c.content, manifests.c.first, manifests.c.last).order_by(manifests.c.last))
    return [
        (Manifest.model_validate({**json.loads(content), "time": utc(last)}), utc(first))
        for content, first, last in rows
    ]


async def expected_of(db: AsyncConnection) -> Expected:
    """Who is expected to hear what."""
    return expectations(await all_manifests(db))


async def facts_of(db: AsyncConnection, ids: Sequence[str]) -> tuple[dict[str, list[Said]], dict[str, list[Receipt]]]:
    """The events and receipts of these flows, each flow's apart, at most `MAX_FACTS` of each."""
    said: dict[str, list[Said]] = {}
    told: dict[str, list[Receipt]] = {}
    for start in range(0, len(ids), IN_LIMIT):
        some = ids[start : start + IN_LIMIT]
        rows = await db.execute(select(events).where(events.c.flow.in_(some)).order_by(events.c.time).limit(MAX_FACTS))
        for row in rows.mappings():
            said.setdefault(row["flow"], []).append(Said(**{**row, "time": utc(row["time"])}))
        found = await db.execute(
            select(receipts.c.flow, receipts.c.fact)
            .where(receipts.c.flow.in_(some)).order_by(receipts.c.time).limit(MAX_FACTS)
        )  # fmt: skip
        for flow, fact in found:
            told.setdefault(flow, []).append(Receipt.model_validate_json(fact))
    return said, told
