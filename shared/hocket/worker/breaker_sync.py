"""The breakers of a service and their rows in its store: keeps what this process knows fresh, and says changes."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from hocket.clock import rfc3339
from hocket.declarations.choreography import Declarations
from hocket.delivery.ending.error_text import text_of
from hocket.errors import StoreError
from hocket.masking.mask import ALWAYS
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.resilience.breakers.registry import Breakers
from hocket.resilience.breakers.row import SHUT, BreakerRow, Decide, Sight
from hocket.resilience.breakers.transitions import held, released
from hocket.runtime import Runtime
from hocket.store.port import Store
from hocket.store.records import Ending, OutboxRow
from hocket.worker.http.operator import CommandRefused

#: Seconds between two looks at what the store last told.
LOOK_SECONDS = 1.0
#: Renewals of the lease within which every replica has learnt of a change.
RENEWALS = 2
#: Changes of one breaker that are told in `TOLD_SECONDS`; the next fact says how many were not.
MOST_TOLD = 30
TOLD_SECONDS = 60.0


@dataclass(slots=True)
class BreakerSpeaker:
    """Makes what a change of a breaker leaves behind: its fact, and the event where the service declares it."""

    declared: Declarations
    builder: OutboxBuilder
    _told: dict[str, tuple[float, int]] = field(default_factory=dict)  # by breaker: since when, and how many

    def ending(self, before: BreakerRow, after: BreakerRow) -> Ending | None:
        """The fact and the event of this change; None where the state is the same, or there is nothing to leave."""
        if before.state == after.state:
            return None
        fact, event = self._fact(before, after), self._event(before, after)
        return Ending(outbox=event, receipt=fact) if fact or event else None

    def _fact(self, before: BreakerRow, after: BreakerRow) -> bytes:
        """The change as the receipts stream has it; b"" where there were too many: a breaker may flap."""
        since, many = self._told.get(after.name, (float("-inf"), 0))
        if after.updated - since >= TOLD_SECONDS or after.updated < since:
            untold, since, many = max(0, many - MOST_TOLD), after.updated, 0
        else:
            untold = 0
        self._told[after.name] = (since, many + 1)
        if many >= MOST_TOLD:
            return b""
        until = _until(after)
        fact = {
            "kind": "breaker", "service": self.declared.service, "name": after.name, "was": before.state,
            "state": after.state, "version": after.version, "until": rfc3339(until) if until else None,
            "reason": after.reason, "by": after.by, "untold": untold,
            "time": rfc3339(datetime.fromtimestamp(after.updated, UTC)),
        }  # fmt: skip
        return orjson.dumps(fact)

    def _event(self, before: BreakerRow, after: BreakerRow) -> tuple[OutboxRow, ...]:
        event: Any = self.declared.breaker_event
        if event is None:
            return ()
        service, until = self.declared.service, _until(after)
        said = event(
            service=service, name=after.name, was=before.state, state=after.state, until=until, reason=after.reason,
            by=after.by,
        )  # fmt: skip
        flow = self.builder.ids.uuid7()
        return self.builder.rows((said,), Causation(None, service, flow), self.declared.says)


def _until(row: BreakerRow) -> datetime | None:
    return datetime.fromtimestamp(row.until, UTC) if row.until and row.state in SHUT else None


async def name_breakers(runtime: Runtime, breakers: Breakers, declared: Declarations) -> None:
    """Read the breakers of handlers and report their states: listeners know them before one opens."""
    for subscription in declared.subscriptions.values():
        if (breaker := subscription.breaker) is not None:
            shared = breakers.of(breaker)
            await shared.read()
            runtime.signals.breaker(declared.service, breaker.name, shared.state, shared.why)


@dataclass(slots=True)
class StoreRows:
    """The rows of the breakers in the service's store, as the breakers of this process use them."""

    runtime: Runtime
    speaker: BreakerSpeaker
    said: Callable[[Iterable[OutboxRow]], None]
    boot: str = field(init=False)
    least: float = field(init=False)
    believed: float = field(init=False)
    _failing: set[str] = field(default_factory=set)  # breakers whose rows could not be read or written

    def __post_init__(self) -> None:
        self.boot = self.runtime.instance.boot
        self.least = least_period(self.runtime.store, self.runtime.config.owner_renew_seconds)
        self.believed = self.least or float("inf")

    def news(self) -> tuple[int, float]:
        """The sum of the versions as the store last told it, and when."""
        return self.runtime.store.breakers.news()

    async def decide(self, name: str, decide: Decide) -> Sight:
        """Change one row; what is said of it goes to the relay, also where the caller is cancelled meanwhile."""
        return await asyncio.shield(asyncio.ensure_future(self._decided(name, decide)))

    async def _decided(self, name: str, decide: Decide) -> Sight:
        try:
            sight, rows = await self.runtime.store.breakers.decide(name, decide, self.speaker.ending)
        except Exception as error:
            reason = text_of(error, ALWAYS)
            if name not in self._failing:  # once, until it is well again
                self._failing.add(name)
                what = "a breaker is not shared: its row cannot be read or written, and each replica counts alone"
                self.runtime.trouble(what, breaker=name, reason=reason)
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"the row of breaker {name} cannot be written: {reason}") from error
        self._failing.discard(name)
        if rows:
            self.said(rows)
        return sight


def least_period(store: Store, renew_seconds: float) -> float:
    """The shortest open period in seconds: within it every replica learns of the opening (RULES 6.3)."""
    return RENEWALS * renew_seconds if store.replicas else 0.0


async def keep_fresh(runtime: Runtime, breakers: Breakers, wake: Callable[[], None]) -> None:
    """Learn what other replicas have changed, and who of them lives, until cancelled; `wake` is called after each."""
    renewed = runtime.clock.monotonic()
    known = runtime.store.breakers.news()[0]
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now, total = runtime.clock.monotonic(), runtime.store.breakers.news()[0]
        if total == known and now - renewed < runtime.config.owner_renew_seconds:
            continue
        renewed, known = now, total
        for each in breakers.all():
            await each.renewed()
        wake()


async def command(
    store: Store, asked: Mapping[str, Any], change: Callable[[str, Decide], Awaitable[object]], least: float
) -> dict[str, Any]:
    """`hocket breaker`: list, open or close; the rows of all breakers then. `CommandRefused`: no such breaker.

    `change` changes one row by a decision.
    """
    if asked.get("do") in {"open", "close"}:
        name, reason, by = (str(asked.get(each, "")) for each in ("name", "reason", "by"))
        known = [each.row.name for each in await store.breakers.all()]
        if name not in known:
            there = f"it has {', '.join(known)}" if known else "it has none, or has not run yet"
            raise CommandRefused(f"the service has no breaker {name!r}: {there}")
        seconds = float(asked["seconds"]) if asked.get("seconds") else None

        def decide(sight: Sight) -> BreakerRow:
            if asked["do"] == "open":
                return held(sight, seconds, reason, by, least=least)
            return released(sight, reason, by, least=least, at_once=bool(asked.get("now")))

        await change(name, decide)
    return {"breakers": [_shown(each) for each in await store.breakers.all()]}


async def ask_running(
    breakers: Breakers, rows: StoreRows, wake: Callable[[], None], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """The same in the running service, which learns of it at once; `wake` wakes its intakes."""
    answer = await command(rows.runtime.store, asked, rows.decide, rows.least)
    for each in breakers.all():
        await each.read()
    wake()
    return answer


def _shown(sight: Sight) -> dict[str, Any]:
    row, left = sight.row, sight.remaining()
    return {
        "name": row.name, "state": row.state, "seconds": None if left == float("inf") else round(left, 1),
        "step": row.step, "out": len(row.granted()), "reason": row.reason, "by": row.by, "since": row.updated,
    }  # fmt: skip
