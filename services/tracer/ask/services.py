"""Services and breakers by their heartbeats, and the state of the tracer itself."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.ask.knowledge import Knowledge
from services.tracer.keep.tables import aside, events, flows, heartbeats, readings, receipts
from services.tracer.read.facts import Heartbeat, utc

#: An instance is not counted when its last heartbeat is this much older than its service's newest: three missed.
GONE = timedelta(seconds=30)


class ServiceSeen(NamedTuple):
    """One service, by its heartbeats."""

    name: str
    owner: str
    version: str
    instances: int
    last: datetime
    waiting: int  # events in its outbox that the broker has not confirmed
    later: int  # what waits for its time: retries, undos, schedules
    shed: int  # receipts it could not keep


def services_of(beats: Sequence[Heartbeat], known: Knowledge) -> list[ServiceSeen]:
    """Every service that ever sent a heartbeat, by name; an instance counts until it falls `GONE` behind the others."""
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
    """One breaker of one service, by the newest heartbeat that names it."""

    service: str
    name: str
    state: str
    since: datetime | None
    until: datetime | None


def breakers_of(beats: Sequence[Heartbeat]) -> list[BreakerSeen]:
    """Every breaker, open ones first."""
    newest: dict[tuple[str, str], BreakerSeen] = {}
    for beat in sorted(beats, key=lambda each: each.time):
        for name, each in beat.breakers.items():
            newest[beat.service, name] = BreakerSeen(beat.service, name, each.state, each.since, each.until)
    rank = {"open": 0, "half-open": 1}
    return sorted(newest.values(), key=lambda each: (rank.get(each.state, 2), each.service, each.name))


async def heartbeats_of(db: AsyncConnection) -> list[Heartbeat]:
    """The newest heartbeat of each instance."""
    rows = await db.execute(select(heartbeats.c.fact).order_by(heartbeats.c.service, heartbeats.c.instance))
    return [Heartbeat.model_validate_json(each) for each in rows.scalars()]


class Own(NamedTuple):
    """The state of the tracer itself."""

    behind: float | None  # seconds: how late the newest fact was read; None before the first
    read_at: datetime | None
    events: int
    receipts: int
    aside: int
    stale: int  # flows whose summary waits to be folded


async def own_state(db: AsyncConnection) -> Own:
    """How far it is behind, what it keeps, and what it set aside."""
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
