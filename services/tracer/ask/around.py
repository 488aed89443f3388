"""Why flows wait, as far as no fact of theirs says it: silent and retired services, breakers that are not closed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import BreakerChange, Heartbeat
from services.tracer.ask.breakers import BreakerSeen, breakers_of, last_changes, waiting_by_subscription
from services.tracer.ask.knowledge import Knowledge
from services.tracer.ask.services import RetiredSeen, heartbeats_of, retired_of, services_of


@dataclass(frozen=True, slots=True)
class Around:
    """What is known of a moment, as a reason why flows wait: services not heard, breakers not closed."""

    silent: Mapping[str, datetime] = field(default_factory=dict)  # service: when it was last heard
    breakers: Mapping[str, BreakerSeen] = field(default_factory=dict)  # subscription: its breaker, not closed
    retired: Mapping[str, RetiredSeen] = field(default_factory=dict)  # by service
    waiting: Mapping[str, int] = field(default_factory=dict)  # subscription: how many flows wait for it


async def around(db: AsyncConnection, known: Knowledge, now: datetime, at: datetime | None = None) -> Around:
    """The reasons at this moment; of a past one, `at`, only breakers are known: each change of them was told."""
    if at is not None:
        return around_of([], known, at, await last_changes(db, at))
    gone = {each.name: each for each in await retired_of(db, known)}
    many = await waiting_by_subscription(db)
    found = around_of(await heartbeats_of(db), known, now, await last_changes(db), many)
    return replace(found, retired=gone)


def around_of(
    beats: Sequence[Heartbeat], known: Knowledge, now: datetime, changes: Sequence[BreakerChange] = (),
    waiting: Mapping[str, int] | None = None,
) -> Around:  # fmt: skip
    """The reasons that heartbeats and changes of breakers give at this moment."""
    silent = {each.name: each.last for each in services_of(beats, known, now) if each.silent}
    shut = [each for each in breakers_of(beats, changes, known, waiting) if each.shut]
    return Around(silent, {name: each for each in shut for name, _ in each.waiting}, {}, waiting or {})
