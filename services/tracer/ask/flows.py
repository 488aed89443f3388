"""Queries about flows: one flow, the flows of a subject, pages of the list, counts by state."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import RowMapping, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.flow import Flow, FlowState, fold
from services.tracer.keep.facts import facts_of
from services.tracer.keep.summaries import DEAD, ENDED, waits_for
from services.tracer.keep.tables import counts, events, flows, receipts
from services.tracer.read.facts import utc

#: Most rows of one page of flows.
MAX_PAGE = 200
#: Flows of one subject that its page reads, the newest.
MAX_SUBJECT_FLOWS = 20
#: Flows that one list of a past moment folds at most; the next page goes on behind them.
MAX_LOOKED = 2_000
#: How far back the overview counts what has ended.
RECENT = timedelta(hours=1)
#: Other flows that are counted.
MAX_OTHERS = 1_000
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


async def flow_of(
    db: AsyncConnection, id: str, known: Knowledge, at: datetime | None = None, now: datetime | None = None
) -> Flow | None:
    """One flow folded from its facts; None where there is none (then). `now`: an undo may be late (RULES 5.8)."""
    [flow] = await folded(db, [id], known, at, now)
    return flow if flow.events or flow.deliveries else None


async def folded(
    db: AsyncConnection, ids: Sequence[str], known: Knowledge, at: datetime | None = None, now: datetime | None = None
) -> list[Flow]:
    """These flows, each folded from its facts, as of `at`, else `now`."""
    facts = await facts_of(db, ids)
    return [
        fold(
            id, each.said, each.told, known.expected, at,
            left_out=each.left_out, beyond=Beyond(each.reached_by, known.budgets, now),
        )
        for id, each in ((id, facts[id]) for id in ids)
    ]  # fmt: skip


async def flows_of_subject(
    db: AsyncConnection, subject: str, known: Knowledge, at: datetime | None = None, now: datetime | None = None
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
    return await folded(db, chosen, known, at, now)


async def list_flows(db: AsyncConnection, wanted: Filter, known: Knowledge) -> Found:
    """One page of flows, the newest first.

    Of a moment and a state, flows are folded one after the other until the page is full or `MAX_LOOKED` were looked at.
    """
    limit = max(1, min(wanted.limit, MAX_PAGE))
    if wanted.at is None:
        rows = (await db.execute(_listing(wanted).limit(limit + 1))).mappings().all()
        lines = [_line(each) for each in rows[:limit]]
        return Found(lines, _place(lines[-1]) if len(rows) > limit else None)
    lines, looked, place = [], 0, None
    while True:
        rows = (await db.execute(_listing(wanted).limit(limit + 1))).mappings().all()
        for row, then in zip(rows, await folded(db, [each["id"] for each in rows], known, wanted.at), strict=True):
            if len(lines) == limit or looked == MAX_LOOKED:
                return Found(lines, place)
            looked, place = looked + 1, _place(_line(row))
            if wanted.state in {"", then.state.value}:
                lines.append(line_of(then))
        if len(rows) <= limit or place is None:
            return Found(lines, None)
        wanted = replace(wanted, before=place[0], before_id=place[1])


def _place(line: Line) -> tuple[float, str]:
    return line.began.timestamp(), line.id


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
    waits, since = waits_for(flow)
    return Line(
        flow.id, flow.state.value, flow.subject, flow.type, flow.began or zero, flow.ended or zero,
        waits, since, len(flow.dead),
        len(flow.events),
    )  # fmt: skip


class Count(NamedTuple):
    """How many flows stand in one state: now for the open ones, within `RECENT` for those that ended."""

    state: str
    many: int
    oldest: datetime | None
    ended: bool  # whether only recent ones are counted


#: States in the order of the overview: what needs a person comes first.
ORDER = (
    FlowState.ZOMBIE, FlowState.WAITING, FlowState.RUNNING, FlowState.DONE, FlowState.COMPENSATED, FlowState.DISCARDED,
    FlowState.FAILED, FlowState.OPEN_LETTER,
)  # fmt: skip


async def count_states(db: AsyncConnection, now: datetime) -> tuple[list[Count], int]:
    """How many flows are in each state, and how many that are no zombie have a dead letter: as kept with the folds."""
    since = (now - RECENT).timestamp() // 60
    query = select(counts.c.state, func.sum(counts.c.many)).where(or_(counts.c.minute == 0, counts.c.minute >= since))
    many = {state: int(number) for state, number in await db.execute(query.group_by(counts.c.state))}
    found: list[Count] = []
    for state in ORDER:
        oldest = None
        if many.get(state, 0) and state not in ENDED:
            began = select(func.min(flows.c.began)).where(flows.c.state == state, flows.c.events > 0)
            oldest = await db.scalar(began)
        found.append(Count(state.value, many.get(state, 0), utc(oldest) if oldest else None, state in ENDED))
    return found, many.get(DEAD, 0)


async def needing(db: AsyncConnection, known: Knowledge, now: datetime) -> list[Flow]:
    """Flows that need a person, zombies first, then those with dead letters, the oldest first, folded."""
    query = select(flows.c.id).where(flows.c.needs > 0).order_by(flows.c.needs, flows.c.began, flows.c.id)
    return await folded(db, list((await db.execute(query.limit(MAX_NEEDS))).scalars()), known, None, now)


def telling(found: Sequence[Flow]) -> Flow:
    """Which of a subject's flows tells where it is: the newest that needs a person or is open, else the newest."""
    for states in ({FlowState.ZOMBIE}, {FlowState.RUNNING, FlowState.WAITING}, {FlowState.OPEN_LETTER}):
        for each in found:
            if each.state in states:
                return each
    return found[0]


async def others_waiting(db: AsyncConnection, subscription: str, found: Sequence[Flow]) -> int:
    """How many other flows wait for the same subscription first, at most `MAX_OTHERS`."""
    mine = [each.id for each in found]
    others = select(flows.c.id).where(flows.c.waits == subscription, flows.c.id.not_in(mine)).limit(MAX_OTHERS)
    return int(await db.scalar(select(func.count()).select_from(others.subquery())) or 0)
