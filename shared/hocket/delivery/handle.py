"""Station handle: runs the handler under timeout, breaker and span."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hocket.declarations.subscription import Subscription
from hocket.delivery import decide
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.claim import HandlerClaim
from hocket.delivery.poison import ALONE_FROM, CRASH, STARTS, SharedExclusiveLock, alone_of, starts_of
from hocket.delivery.record import Recorder
from hocket.errors import LeaseExpired, StoreError
from hocket.outcome import Again, Bury, GiveBack
from hocket.resilience.circuit import Circuit
from hocket.resilience.guard import BreakerGuard, StateListener
from hocket.resilience.time_limit import TimeLimit
from hocket.runtime import Runtime
from hocket.store.records import OutboxRow
from hocket.store.unit_of_work import Superseded, UnitOfWork
from hocket.telemetry.signals import Processing
from hocket.tx import AttemptInfo, Tx

PROMISE = (
    "the handler runs under timeout, breaker and span; a redelivered event is marked `started` first, a suspect "
    "runs alone; its own transaction begins with the inbox write"
)


class Readmit(Exception):
    """The delivery must be looked up again: the outcome of its commit is unknown, or another run ended it."""


@dataclass(slots=True)
class Handling:
    """Runs the handlers of one service."""

    runtime: Runtime
    recorder: Recorder
    circuits: dict[str, Circuit]
    breaker_changed: StateListener
    use: Any = None
    _lock: SharedExclusiveLock = field(default_factory=SharedExclusiveLock)
    _time_limits: dict[str, TimeLimit] = field(default_factory=dict)  # by queue

    async def handle(self, arrival: Arrival) -> tuple[OutboxRow, ...] | None:
        """Give the arrival its outcome; the outbox rows where the handler's own transaction has committed it all.

        `Readmit` where it must be looked up again.
        """
        starts = starts_of(arrival.row, self.runtime.instance.boot)
        alone = starts >= ALONE_FROM
        await self._lock.enter(alone)
        try:
            arrival.began = self.runtime.clock.now()
            if alone_of(arrival.row, self.runtime.instance.boot) >= STARTS and arrival.role is not Role.FAILURE:
                what = f"its process died at each of {starts} marked starts, the last {STARTS} of them alone"
                arrival.outcome, arrival.ended = Bury(CRASH, what, began=True), arrival.began
                return None
            if (
                arrival.delivery.redelivered
                and arrival.role is not Role.FAILURE
                and not await self._mark(arrival, alone)
            ):
                return None
            return await self._handle(arrival)
        finally:
            self._lock.leave(alone)

    async def _mark(self, arrival: Arrival, alone: bool) -> bool:
        """Note the start of a redelivered one (RULES 1.4); False: another run has ended it."""
        marked = self.recorder.started(arrival, alone)
        try:
            [written] = await self.runtime.store.commit([marked])
        except StoreError as error:
            raise Readmit(str(error)) from error
        except Exception:  # noqa: BLE001 -- the row itself cannot be written: the commit finds out whose fault that is
            return True
        if not written.won or marked.inbox is None:
            arrival.ended, arrival.fenced = self.runtime.clock.now(), True
            return False
        arrival.row, arrival.marked = marked.inbox.row, True
        return True

    async def _handle(self, arrival: Arrival) -> tuple[OutboxRow, ...] | None:
        subscription = arrival.subscription
        if arrival.role is Role.FAILURE:  # the ledger's business alone; the step's undo is ordered at the commit
            arrival.outcome, arrival.ended = decide.returned(None, subscription.queue), self.runtime.clock.now()
            return None
        guard = BreakerGuard(self.circuits, self.runtime.clock, arrival.key, self.breaker_changed)
        if subscription.breaker is not None and not guard.begin(subscription.breaker):
            at = self.runtime.clock.now() + timedelta(seconds=guard.wait)
            sentence = f"breaker {subscription.breaker.name} is open"
            arrival.outcome = Again(at, deferred=True, cause="breaker", error=sentence)
            arrival.ended = self.runtime.clock.now()
            return None
        claim = HandlerClaim(self.recorder, arrival)
        unit = UnitOfWork(self.runtime.store, claim)
        try:
            return await self._run(arrival, unit, claim, guard)
        except BaseException as error:
            arrival.ended = self.runtime.clock.now()
            await self._leave(unit, error)
            if self.runtime.tasks.cancelling():  # else a CancelledError is the handler's own accident
                arrival.outcome = GiveBack()
                raise asyncio.CancelledError from error
            if unit.lost:
                arrival.fenced = True
                return None
            if not isinstance(error, Exception | asyncio.CancelledError | BaseExceptionGroup):
                raise
            if await self._store_failed(error):
                raise Readmit(str(error)) from error
            free = guard.wait if guard.deferred else None
            arrival.outcome = decide.failed(
                error,
                retry=subscription.retry,
                used=arrival.used,
                now=arrival.ended,
                chance=self.runtime.chance,
                free=free,
            )
            return None
        finally:
            guard.end()

    async def _run(
        self, arrival: Arrival, unit: UnitOfWork, claim: HandlerClaim, guard: BreakerGuard
    ) -> tuple[OutboxRow, ...] | None:
        envelope, subscription = arrival.known, arrival.subscription
        tx = Tx(self._about(arrival), self.use, unit, guard)
        traceparent = arrival.delivery.headers.get("traceparent")
        run = Processing(
            subscription.service,
            subscription.queue,
            envelope.type,
            envelope.id,
            envelope.correlation_id,
            arrival.attempt,
            traceparent if isinstance(traceparent, str) else envelope.traceparent,
            envelope.causation_id,
            envelope.subject,
        )
        with self.runtime.signals.around(run) as arrival.attempt_traceparent:
            with self._time_limit(subscription).run():
                value = await self._call(arrival, tx)
            if unit.lost:
                raise Superseded
            arrival.outcome, arrival.ended = decide.returned(value, subscription.queue), self.runtime.clock.now()
            if unit.opened:
                return await self._commit(unit, claim)
        await unit.leave()
        return None

    async def _commit(self, unit: UnitOfWork, claim: HandlerClaim) -> tuple[OutboxRow, ...]:
        ending = claim.ending()
        if ending is None:
            unit.lost = True
            raise Superseded
        return await unit.commit(ending)

    def _time_limit(self, subscription: Subscription) -> TimeLimit:
        known = self._time_limits.get(subscription.queue)
        if known is None:
            known = self._time_limits[subscription.queue] = TimeLimit(subscription.timeout.total_seconds())
        return known

    def _call(self, arrival: Arrival, tx: Tx[Any]) -> Awaitable[Any]:
        call = arrival.subscription.call
        if arrival.role is Role.UNDO:
            return call(arrival.event, arrival.did, arrival.why, tx)
        return call(arrival.event, tx)

    def _about(self, arrival: Arrival) -> AttemptInfo:
        envelope = arrival.known
        return AttemptInfo(
            inbox_key=arrival.key,
            correlation_id=envelope.correlation_id,
            subject=envelope.subject,
            time=envelope.time,
            idempotency_key=envelope.idempotency_key if arrival.role is Role.UNDO else "",
            step_key=arrival.step_key,
            attempt=arrival.attempt,
            replaying=bool(arrival.replay),
        )

    async def _leave(self, unit: UnitOfWork, error: BaseException) -> None:
        try:
            await unit.leave(error)
        except Exception:  # noqa: BLE001 -- the lease had run out, or the store is gone: it is rolled back either way
            return

    async def _store_failed(self, error: BaseException) -> bool:
        """Whether the store, not the delivery, is to blame (RULES 3.2): then nothing was an attempt."""
        if isinstance(error, LeaseExpired):
            return False
        if isinstance(error, StoreError):
            return True
        if not type(error).__module__.startswith("sqlalchemy"):
            return False
        try:
            await self.runtime.store.commit([])
        except StoreError:
            return True
        return False
