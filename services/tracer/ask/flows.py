"""What pages and programs ask of the tracer's store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import RowMapping, Select, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.fold.flow import Expected, Flow, FlowState, fold
from services.tracer.keep.facts import all_manifests, aside, events, facts_of, flows, heartbeats, readings, receipts
from services.tracer.read.facts import Heartbeat, Manifest, expectations, utc

#: Most rows of one page of flows.
MAX_PAGE = 200
#: Flows of one subject that its page reads, the newest.
MAX_SUBJECT_FLOWS = 20
#: How far back the overview counts what has ended.
RECENT = timedelta(hours=1)
#: An instance whose last heartbeat is so much older than its service's newest is not counted: three missed ones.
GONE = timedelta(seconds=30)
#: Flows that are looked at for what needs a person.
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


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What services declared, and when it was first known."""

    manifests: Sequence[tuple[Manifest, datetime]]
    expected: Expected

    def owner(self, service: str) -> str:
        """Who owns a service, by its last manifest; empty where none was seen."""
        return next((each.owner for each, _ in reversed(self.manifests) if each.service == service), "")

    def undo_steps(self) -> dict[str, str]:
        """Which step each undo undoes."""
        return {sub.name: sub.undo_of for each, _ in self.manifests for sub in each.subscriptions if sub.undo_of}


async def knowledge(db: AsyncConnection) -> Knowledge:
    """What is declared."""
    manifests = await all_manifests(db)
    return Knowledge(manifests, expectations(manifests))


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
    """The strip of states, what needs a person first."""
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


class ServiceSeen(NamedTuple):
    """One service as its heartbeats tell it."""

    name: str
    owner: str
    version: str
    instances: int
    last: datetime
    waiting: int  # events in its outbox that the broker has not confirmed
    later: int  # what waits for its time: retries, undos, schedules
    shed: int  # receipts it could not keep


def services_of(beats: Sequence[Heartbeat], known: Knowledge) -> list[ServiceSeen]:
    """Every service that ever sent a heartbeat, by name; an instance counts while it keeps up with its fellows."""
    by_name: dict[str, list[Heartbeat]] = {}
    for each in beats:
        by_name.setdefault(each.service, []).append(each)
    alive = {
        name: [each for each in mine if max(one.time for one in mine) - each.time <= GONE]
        for name, mine in by_name.items()
    }
    return [
        ServiceSeen(
            name, known.owner(name), max(mine, key=lambda each: each.time).version, len(mine),
            max(each.time for each in mine), sum(each.waiting.get("events", 0) for each in mine),
            sum(each.waiting.get("later", 0) for each in mine), sum(each.shed for each in mine),
        )
        for name, mine in sorted(alive.items())
    ]  # fmt: skip


class BreakerSeen(NamedTuple):
    """One breaker of one service, as the newest heartbeat that names it tells."""

    service: str
    name: str
    state: str
    since: datetime | None
    until: datetime | None
    told: datetime


def breakers_of(beats: Sequence[Heartbeat]) -> list[BreakerSeen]:
    """Every breaker, open ones first."""
    newest: dict[tuple[str, str], BreakerSeen] = {}
    for beat in sorted(beats, key=lambda each: each.time):
        for name, each in beat.breakers.items():
            newest[beat.service, name] = BreakerSeen(
                beat.service, name, each.state, each.since, each.until, beat.time
            )  # fmt: skip
    rank = {"open": 0, "half-open": 1}
    return sorted(newest.values(), key=lambda each: (rank.get(each.state, 2), each.service, each.name))


async def heartbeats_of(db: AsyncConnection) -> list[Heartbeat]:
    """The newest heartbeat of each instance."""
    rows = await db.execute(select(heartbeats.c.fact).order_by(heartbeats.c.service, heartbeats.c.instance))
    return [Heartbeat.model_validate_json(each) for each in rows.scalars()]


class Own(NamedTuple):
    """How the tracer itself stands."""

    behind: float | None  # seconds: how late the newest fact was read; None before the first
    read_at: datetime | None
    events: int
    receipts: int
    aside: int
    stale: int  # flows whose summary waits to be folded


async def own_state(db: AsyncConnection) -> Own:
    """Lag, what is kept, and what was kept aside."""
    rows = (await db.execute(select(readings))).mappings().all()
    lags = [max(0.0, each["at"] - each["time"]) for each in rows if each["time"]]
    counts = [
        (await db.execute(query)).scalar_one()
        for query in (
            select(func.count()).select_from(events),
            select(func.count()).select_from(receipts),
            select(func.count()).select_from(aside),
            select(func.count()).select_from(flows).where(flows.c.stale),
        )
    ]
    at = max((each["at"] for each in rows), default=None)
    return Own(max(lags, default=None), utc(at) if at else None, *counts)
