"""Breakers of all services: how they stand, since when and why, who waits for them, and how they changed."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import BreakerChange, Breaking, Heartbeat
from services.tracer.ask.knowledge import Knowledge
from services.tracer.keep.summaries import WAITS
from services.tracer.keep.tables import breaker_changes, counts, retired

#: Breakers that are shown; their subscriptions that are named.
MAX_BREAKERS = 500
#: Changes that one page reads.
MAX_READ = 400


class BreakerSeen(NamedTuple):
    """One breaker of one service, by the newest heartbeat or change that names it."""

    service: str
    name: str
    state: str
    since: datetime | None
    until: datetime | None
    reason: str = ""
    by: str = ""  # the person who did it
    width: int = 0  # half-open: calls that may be out at once, of `ramp` at the end
    ramp: int = 0
    out: int = 0
    ok: int = 0
    bad: int = 0
    version: int = 0
    owner: str = ""
    waiting: tuple[tuple[str, int], ...] = ()  # subscriptions that it guards, and how many flows wait for each

    @property
    def shut(self) -> bool:
        """Whether it is not closed."""
        return self.state != "closed"

    @property
    def flows(self) -> int:
        """How many flows wait for one of its subscriptions, counted by subscription; 0 while it is closed."""
        return sum(many for _, many in self.waiting) if self.shut else 0

    def next(self, now: datetime) -> datetime | None:
        """When the next probe may begin: the end of an open period, or of a hold that ends by itself."""
        return self.until if self.until is not None and self.until > now else None


_RANK = {"held": 0, "open": 1, "half-open": 2}


def breakers_of(
    beats: Sequence[Heartbeat], changes: Iterable[BreakerChange] = (), known: Knowledge | None = None,
    waiting: Mapping[str, int] | None = None,
) -> list[BreakerSeen]:  # fmt: skip
    """Every breaker, those that a person holds first, then open ones; at most `MAX_BREAKERS`."""
    found: dict[tuple[str, str], BreakerSeen] = {}
    told: dict[tuple[str, str], tuple[int, datetime]] = {}
    for beat in sorted(beats, key=lambda each: each.time):
        for name, each in beat.breakers.items():
            key, place = (beat.service, name), (each.version, beat.time)
            if key not in told or place >= told[key]:  # a replica that has not learnt yet tells an older version
                found[key], told[key] = _beaten(beat.service, name, each), place
    for change in sorted(changes, key=lambda each: (each.time, each.version)):
        key = (change.service, change.name)
        if key not in told or (change.version > told[key][0] and change.time >= (found[key].since or change.time)):
            found[key], told[key] = _changed(change), (change.version, change.time)
    guards = _guards(known) if known is not None else {}
    many = waiting or {}
    every = [
        each._replace(
            owner=known.owner(each.service) if known is not None else "",
            waiting=tuple((name, many.get(name, 0)) for name in guards.get((each.service, each.name), ())),
        )
        for each in found.values()
    ]
    return sorted(every, key=lambda each: (_RANK.get(each.state, 3), each.service, each.name))[:MAX_BREAKERS]


def _beaten(service: str, name: str, each: Breaking) -> BreakerSeen:
    return BreakerSeen(
        service, name, each.state, each.since, each.until, each.reason, each.by, each.width, each.ramp, each.out,
        each.ok, each.bad, each.version,
    )  # fmt: skip


def _changed(each: BreakerChange) -> BreakerSeen:
    return BreakerSeen(
        each.service, each.name, each.state, each.time, each.until, each.reason, each.by, version=each.version
    )


def _guards(known: Knowledge) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """The subscriptions that each breaker guards; a paused subscription is a breaker under its own name."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, each in sorted(known.subscriptions.items()):
        service = name.partition(".")[0]
        found[service, name] = [name]
        if each.breaker:
            found.setdefault((service, each.breaker), []).append(name)
    return {key: tuple(names) for key, names in found.items()}


def guards_of(subscription: str, known: Knowledge) -> tuple[tuple[str, str], ...]:
    """The breakers, by service and name, that may keep a subscription waiting: its own, and its pause."""
    declared, service = known.subscriptions.get(subscription), subscription.partition(".")[0]
    own = ((service, declared.breaker),) if declared and declared.breaker else ()
    return (*own, (service, subscription))


async def waiting_by_subscription(db: AsyncConnection) -> Mapping[str, int]:
    """How many flows wait for each subscription, as kept with the folds."""
    query = select(counts.c.state, counts.c.many).where(counts.c.minute == 0, counts.c.state.startswith(WAITS))
    return {name.removeprefix(WAITS): int(many) for name, many in await db.execute(query) if many > 0}


async def last_changes(db: AsyncConnection, at: datetime | None = None) -> list[BreakerChange]:
    """The last change of each breaker, or the last before `at`; without those of retired services."""
    newest = select(breaker_changes.c.service, breaker_changes.c.name, func.max(breaker_changes.c.time).label("time"))
    newest = newest.where(breaker_changes.c.service.not_in(select(retired.c.service)))
    if at is not None:
        newest = newest.where(breaker_changes.c.time <= at.timestamp())
    last = newest.group_by(breaker_changes.c.service, breaker_changes.c.name).limit(MAX_BREAKERS).subquery()
    place = tuple_(breaker_changes.c.service, breaker_changes.c.name, breaker_changes.c.time)
    query = select(breaker_changes.c.fact).where(place.in_(select(last.c.service, last.c.name, last.c.time)))
    return [BreakerChange.model_validate_json(each) for each in (await db.execute(query)).scalars()]


async def changes_between(
    db: AsyncConnection, breakers: Iterable[tuple[str, str]], since: datetime, until: datetime
) -> list[BreakerChange]:
    """How these breakers changed within a time, the last `MAX_READ`, in order."""
    wanted = sorted(set(breakers))[:MAX_BREAKERS]
    if not wanted:
        return []
    query = select(breaker_changes.c.fact).where(
        tuple_(breaker_changes.c.service, breaker_changes.c.name).in_(wanted),
        breaker_changes.c.time >= since.timestamp(),
        breaker_changes.c.time <= until.timestamp(),
    )
    newest = query.order_by(breaker_changes.c.time.desc(), breaker_changes.c.version.desc()).limit(MAX_READ)
    found = [BreakerChange.model_validate_json(each) for each in (await db.execute(newest)).scalars()]
    return found[::-1]
