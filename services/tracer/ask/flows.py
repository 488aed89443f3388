"""Queries about flows: one flow, the flows of a subject, pages of the list, counts by state."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import RowMapping, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.flow import Flow, FlowState, fold
from services.tracer.keep.facts import facts_of
from services.tracer.keep.tables import events, flows, receipts
from services.tracer.read.facts import utc

#: Most rows of one page of flows.
MAX_PAGE = 200
#: Flows of one subject that its page reads, the newest.
MAX_SUBJECT_FLOWS = 20
#: How far back the overview counts what has ended.
RECENT = timedelta(hours=1)
#: Most flows that are read for what needs a person.
MAX_NEEDS = 200


@dataclass(frozen=True, slots=True)
class Filter:
    """Which flows are wanted; empty means any. `at`: as they stood then."""

    q: str = ""
    state: str = ""
    type: str = ""
    service: str = ""
    at: datetime | None = None
    limit: int = 50
    before: float | None = None  # began earlier than, for the next page
    before_id: str = ""


class Line(NamedTuple):
    """One row of a list of flows."""

    id: str
    state: str
    subject: str
    type: str
    began: datetime
    ended: datetime
    waits: str
    since: datetime | None
    dead: int
    events: int


class Found(NamedTuple):
    """A page of flows, and where the next one begins (None: this is the last)."""

    lines: list[Line]
    after: tuple[float, str] | None


async def flow_of(db: AsyncConnection, id: str, known: Knowledge, at: datetime | None = None) -> Flow | None:
    """One flow folded from its facts; None where there is none (then)."""
    said, told = await facts_of(db, [id])
    flow = fold(id, said.get(id, ()), told.get(id, ()), known.expected, at)
    return flow if flow.events or flow.deliveries else None


async def flows_of_subject(
    db: AsyncConnection, subject: str, known: Knowledge, at: datetime | None = None
) -> list[Flow]:
    """The newest flows that touch a subject, the newest first."""
    ids: dict[str, float] = {}
    for table in (events, receipts):
        wanted = select(table.c.flow, func.min(table.c.time)).where(table.c.subject == subject, table.c.flow != "")
        if at is not None:
            wanted = wanted.where(table.c.time <= at.timestamp())
        newest = func.min(table.c.time).desc()
        for id, time in await db.execute(wanted.group_by(table.c.flow).order_by(newest).limit(MAX_SUBJECT_FLOWS)):
            ids[id] = min(time, ids.get(id, time))
    chosen = sorted(ids, key=lambda each: (ids[each], each), reverse=True)[:MAX_SUBJECT_FLOWS]
    said, told = await facts_of(db, chosen)
    return [fold(id, said.get(id, ()), told.get(id, ()), known.expected, at) for id in chosen]


async def list_flows(db: AsyncConnection, wanted: Filter, known: Knowledge) -> Found:
    """One page of flows, the newest first."""
    limit = max(1, min(wanted.limit, MAX_PAGE))
    rows = (await db.execute(_listing(wanted).limit(limit + 1))).mappings().all()
    lines = [_line(each) for each in rows[:limit]]
    after = (lines[-1].began.timestamp(), lines[-1].id) if len(rows) > limit else None
    if wanted.at is not None:
        said, told = await facts_of(db, [each.id for each in lines])
        then = (
            fold(each.id, said.get(each.id, ()), told.get(each.id, ()), known.expected, wanted.at) for each in lines
        )
        lines = [line_of(each) for each in then if wanted.state in {"", each.state.value}]
    return Found(lines, after)


def _listing(wanted: Filter) -> Select[tuple[object, ...]]:
    query: Select[tuple[object, ...]] = select(flows).order_by(flows.c.began.desc(), flows.c.id.desc())
    query = query.where(flows.c.events > 0)
    if wanted.state and wanted.at is None:
        query = query.where(flows.c.state == wanted.state)
    if wanted.type:
        typed = select(events.c.flow).where(events.c.type == wanted.type)
        query = query.where(flows.c.id.in_(typed))
    if wanted.service:
        heard = select(receipts.c.flow).where(receipts.c.subscription.startswith(f"{wanted.service}.", autoescape=True))
        said = select(events.c.flow).where(events.c.source == f"/{wanted.service}")
        query = query.where(or_(flows.c.id.in_(heard), flows.c.id.in_(said)))
    if wanted.q:
        about = flows.c.subject.contains(wanted.q, autoescape=True)
        named = flows.c.id.startswith(wanted.q, autoescape=True)
        exact = select(events.c.flow).where(or_(events.c.type == wanted.q, events.c.id == wanted.q))
        query = query.where(or_(about, named, flows.c.id.in_(exact)))
    if wanted.at is not None:
        query = query.where(flows.c.began <= wanted.at.timestamp())
    if wanted.before is not None:
        older = flows.c.began < wanted.before
        query = query.where(or_(older, (flows.c.began == wanted.before) & (flows.c.id < wanted.before_id)))
    return query


def _line(row: RowMapping) -> Line:
    return Line(
        row["id"], row["state"], row["subject"], row["type"], utc(row["began"]), utc(row["ended"]), row["waits"],
        utc(row["since"]) if row["since"] else None, row["dead"], row["events"],
    )  # fmt: skip


def line_of(flow: Flow) -> Line:
    """The row of a folded flow."""
    zero = utc(0)
    waiting = flow.waiting
    return Line(
        flow.id, flow.state.value, flow.subject, flow.type, flow.began or zero, flow.ended or zero,
        waiting[0].subscription if waiting else "", waiting[0].since if waiting else None, len(flow.dead),
        len(flow.events),
    )  # fmt: skip


class Count(NamedTuple):
    """How many flows stand in one state: now for the open ones, within `RECENT` for those that ended."""

    state: str
    many: int
    oldest: datetime | None
    ended: bool  # whether only recent ones are counted


async def count_states(db: AsyncConnection, now: datetime) -> list[Count]:
    """How many flows are in each state; what needs a person comes first."""
    since = (now - RECENT).timestamp()
    found: list[Count] = []
    for state in ("zombie", "waiting", "running", "done", "compensated", "failed"):
        ended = state in {FlowState.DONE, FlowState.COMPENSATED}
        query = select(func.count(), func.min(flows.c.began)).where(flows.c.state == state, flows.c.events > 0)
        if ended:
            query = query.where(flows.c.ended >= since)
        many, oldest = (await db.execute(query)).one()
        found.append(Count(state, many, utc(oldest) if oldest else None, ended))
    return found


async def needing(db: AsyncConnection, known: Knowledge) -> list[Flow]:
    """Flows that need a person, zombies first, then those with dead letters, the oldest first, folded."""
    query = (
        select(flows.c.id)
        .where(or_(flows.c.state == FlowState.ZOMBIE, flows.c.dead > 0))
        .order_by((flows.c.state != FlowState.ZOMBIE), flows.c.began, flows.c.id)
        .limit(MAX_NEEDS)
    )
    ids = list((await db.execute(query)).scalars())
    said, told = await facts_of(db, ids)
    return [fold(id, said.get(id, ()), told.get(id, ()), known.expected) for id in ids]


def telling(found: Sequence[Flow]) -> Flow:
    """Which of a subject's flows tells where it is: the newest that needs a person or is open, else the newest."""
    for states in ({FlowState.ZOMBIE}, {FlowState.RUNNING, FlowState.WAITING}, {FlowState.FAILED}):
        for each in found:
            if each.state in states:
                return each
    return found[0]


async def others_waiting(db: AsyncConnection, subscription: str, found: Sequence[Flow]) -> int:
    """How many other flows wait for the same subscription first."""
    mine = [each.id for each in found]
    query = select(func.count()).select_from(flows).where(flows.c.waits == subscription, flows.c.id.not_in(mine))
    return int((await db.execute(query)).scalar_one())
