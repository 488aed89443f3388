"""Services by their heartbeats."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import Heartbeat
from services.tracer.ask.knowledge import Knowledge
from services.tracer.keep.tables import heartbeats, retired
from services.tracer.read.facts import utc

#: Three missed heartbeats. A service not heard for so long by the clock is silent; an instance whose last heartbeat is
#: this much older than its service's newest is not counted.
GONE = timedelta(seconds=30)
#: Retired services that are shown.
MAX_RETIRED = 100


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
    silent: bool = False  # not heard for three heartbeats


def services_of(beats: Sequence[Heartbeat], known: Knowledge, now: datetime) -> list[ServiceSeen]:
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
            now - max(each.time for each in mine) > GONE,
        )
        for name, mine in sorted(alive.items())
    ]  # fmt: skip


async def heartbeats_of(db: AsyncConnection) -> list[Heartbeat]:
    """The newest heartbeat of each instance; without those of retired services."""
    there = select(heartbeats.c.fact).where(heartbeats.c.service.not_in(select(retired.c.service)))
    rows = await db.execute(there.order_by(heartbeats.c.service, heartbeats.c.instance))
    return [Heartbeat.model_validate_json(each) for each in rows.scalars()]


class RetiredSeen(NamedTuple):
    """One service that a person retired at the desk."""

    name: str
    owner: str
    gone: datetime  # its last heartbeat
    time: datetime  # when it was retired
    by: str
    reason: str


async def retired_of(db: AsyncConnection, known: Knowledge) -> list[RetiredSeen]:
    """Services that were retired and not heard since, the last gone first; at most `MAX_RETIRED`."""
    rows = await db.execute(select(retired).order_by(retired.c.last.desc(), retired.c.service).limit(MAX_RETIRED))
    return [
        RetiredSeen(row.service, known.owner(row.service), utc(row.last), utc(row.time), row.by, row.reason)
        for row in rows
    ]
