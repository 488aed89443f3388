"""Stores facts, each once, and reads them back by flow; marks the flows that a new fact concerns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Table, case, delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import Aside, Heartbeat, Receipt
from hocket.console.named_values import insert_into
from services.tracer.keep.tables import aside, events, heartbeats, reaches, receipts, unfolded
from services.tracer.read.facts import Said, utc

#: Events, and receipts, of one flow that are read; a flow with more says that some are left out.
MAX_FACTS = 20_000
#: Values in one `IN (…)`; every database accepts so many.
IN_LIMIT = 500
#: Most facts that are kept aside, and bytes of each.
MAX_ASIDE = 10_000
ASIDE_BYTES = 2_000


async def keep_events(db: AsyncConnection, said: Sequence[Said], at: datetime) -> None:
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
    await mark_unfolded(db, {each.flow for each in said}, at)


async def keep_receipts(db: AsyncConnection, told: Sequence[Receipt], at: datetime) -> None:
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
    others: list[dict[str, Any]] = [
        {"flow": flow, "subscription": each.subscription, "event_source": each.event.source,
         "event_id": each.event.id, "time": each.time.timestamp(), "fact": each.model_dump_json(exclude_defaults=True)}
        for each in told
        for flow in each.flows_concerned
    ]  # fmt: skip
    if others:
        await db.execute(insert_into(db, reaches).on_conflict_do_nothing(), others)
    concerned = {each.correlationid for each in told if each.correlationid} | {each["flow"] for each in others}
    await mark_unfolded(db, concerned, at)


async def keep_heartbeats(db: AsyncConnection, beats: Sequence[Heartbeat], at: datetime) -> None:
    """Keep the newest heartbeat of each instance; a time that is ahead of ours counts as ours."""
    for beat in beats:
        each = beat.model_copy(update={"time": min(beat.time, at)})
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


async def keep_aside(db: AsyncConnection, stream: str, found: Sequence[Aside]) -> None:
    """Store what could not be read, its first bytes and the reason; the newest `MAX_ASIDE` are kept."""
    if not found:
        return
    rows = [
        {"stream": stream, "place": each.place, "why": _storable(each.why), "body": each.body[:ASIDE_BYTES]}
        for each in found
    ]
    await db.execute(insert_into(db, aside).on_conflict_do_nothing(), rows)
    oldest = select(aside.c.place).order_by(aside.c.place.desc()).offset(MAX_ASIDE)
    await db.execute(delete(aside).where(aside.c.place.in_(oldest)))


def _storable(said: str) -> str:
    """An error text in a form that every database accepts."""
    return said.encode(errors="replace").decode().replace("\x00", "\N{REPLACEMENT CHARACTER}")


async def mark_unfolded(db: AsyncConnection, ids: set[str], at: datetime) -> None:
    """Note that these flows have facts that their summaries do not have yet, read at `at`."""
    if not ids:
        return
    adding = insert_into(db, unfolded)
    adding = adding.on_conflict_do_update(index_elements=["flow"], set_={"at": adding.excluded.at})
    await db.execute(adding, [{"flow": each, "at": at.timestamp()} for each in sorted(ids)])


class FactsOf(NamedTuple):
    """The facts of one flow that were read, and how many were left out since there are more than `MAX_FACTS`.

    `reached_by`: receipts of other flows: of failures that found a step run of this one, and about its time-outs.
    """

    said: Sequence[Said] = ()
    told: Sequence[Receipt] = ()
    left_out: int = 0
    reached_by: Sequence[Receipt] = ()


async def facts_of(db: AsyncConnection, ids: Sequence[str], *, payloads: bool = True) -> dict[str, FactsOf]:
    """The facts of each of these flows; without `payloads` the events have no data.

    At most `MAX_FACTS` events and receipts of *each* flow: a flow with more takes nothing from its neighbours, and says
    so by `left_out`.
    """
    found: dict[str, FactsOf] = dict.fromkeys(ids, FactsOf())
    for start in range(0, len(ids), IN_LIMIT):
        some = ids[start : start + IN_LIMIT]
        reaching = await _reaching(db, some)
        said, more_said = await _events(db, events.c.flow.in_(some), payloads=payloads)
        told, more_told = await _receipts(db, receipts.c.flow.in_(some))
        if not (more_said or more_told):
            found |= {id: FactsOf(said.get(id, ()), told.get(id, ()), 0, reaching.get(id, ())) for id in some}
            continue
        for id in some:  # together they are too many: each by itself
            said, more_said = await _events(db, events.c.flow == id, payloads=payloads)
            told, more_told = await _receipts(db, receipts.c.flow == id)
            left_out = await _beyond(db, events, id) if more_said else 0
            left_out += await _beyond(db, receipts, id) if more_told else 0
            found[id] = FactsOf(said.get(id, ()), told.get(id, ()), left_out, reaching.get(id, ()))
    return found


_NO_DATA = [column for column in events.c if column.name != "data"]
#: Receipts by which a delivery is decided come first, so that a flow beyond the bound keeps them.
_WEIGHT = case((receipts.c.outcome.in_(["duplicate", "deferred", "retry"]), 1), else_=0)


async def _events(
    db: AsyncConnection, which: ColumnElement[bool], *, payloads: bool
) -> tuple[dict[str, list[Said]], bool]:
    """Events by flow, the earliest; and whether there are more than the bound."""
    columns = list(events.c) if payloads else _NO_DATA
    rows = (await db.execute(select(*columns).where(which).order_by(events.c.time).limit(MAX_FACTS + 1))).all()
    found: dict[str, list[Said]] = {}
    for source, id, type, version, subject, time, flow, cause, *data in rows:
        found.setdefault(flow, []).append(Said(source, id, type, version, subject, utc(time), flow, cause, *data))
    return found, len(rows) > MAX_FACTS


async def _receipts(db: AsyncConnection, which: ColumnElement[bool]) -> tuple[dict[str, list[Receipt]], bool]:
    """Receipts by flow, the deciding and the newest first; and whether there are more than the bound."""
    query = select(receipts.c.flow, receipts.c.fact).where(which)
    rows = (await db.execute(query.order_by(_WEIGHT, receipts.c.time.desc()).limit(MAX_FACTS + 1))).all()
    found: dict[str, list[Receipt]] = {}
    for flow, fact in rows:
        found.setdefault(flow, []).append(Receipt.model_validate_json(fact))
    return found, len(rows) > MAX_FACTS


async def _reaching(db: AsyncConnection, ids: Sequence[str]) -> dict[str, list[Receipt]]:
    """Receipts of failures of other flows that found step runs of these, the earliest; at most `MAX_FACTS`."""
    query = select(reaches.c.flow, reaches.c.fact).where(reaches.c.flow.in_(ids)).order_by(reaches.c.time)
    found: dict[str, list[Receipt]] = {}
    for flow, fact in await db.execute(query.limit(MAX_FACTS)):
        found.setdefault(flow, []).append(Receipt.model_validate_json(fact))
    return found


async def _beyond(db: AsyncConnection, table: Table, flow: str) -> int:
    """How many facts of a flow in this table the bound leaves out."""
    many = await db.scalar(select(func.count()).select_from(table).where(table.c.flow == flow))
    return max(0, int(many or 0) - MAX_FACTS)
