"""Station handle: runs the handler under timeout, breaker and span."""

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hocket.declarations.subscription import Subscription
from hocket.delivery import decide
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.claim import HandlerClaim
from hocket.delivery.poison import ALONE_FROM, CRASH, STARTS, SharedExclusiveLock, alone_of, starts_of
from hocket.delivery.record import Recorder
from hocket.errors import BreakerOpen, Defer, LeaseExpired, Reject, StoreError
from hocket.outcome import Again, Bury, GiveBack
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.circuit import Circuit, Permit, State
from hocket.resilience.guard import BreakerGuard, StateListener
from hocket.resilience.isolation import TeamRun
from hocket.resilience.same_fault import SameFault, fault_of
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
    blocking: BlockingCalls
    use: Any = None
    pauses: dict[str, SameFault] = field(default_factory=dict)  # by queue
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
        subscription, clock = arrival.subscription, self.runtime.clock
        if arrival.role is Role.FAILURE:  # the ledger's business alone; the step's undo is ordered at the commit
            arrival.outcome, arrival.ended = decide.NOTHING, clock.now()
            return None
        pause = self.pause_of(subscription)
        permit = pause.admit(clock.monotonic, arrival.key)
        if permit is None:
            self._defer(arrival, pause.circuit.wait(clock.monotonic()), "paused", pause.sentence())
            return None
        guard = BreakerGuard(self.circuits, clock, arrival.key, self.breaker_changed)
        if subscription.breaker is not None and not guard.begin(subscription.breaker):
            pause.released(permit, clock.monotonic())
            self._defer(arrival, guard.wait, "breaker", f"breaker {subscription.breaker.name} is open")
            return None
        claim = HandlerClaim(self.recorder, arrival)
        unit = UnitOfWork(self.runtime.store, claim)
        try:
            rows = await self._run(arrival, unit, claim, guard)
            if permit.probe or pause.fault is not None:
                pause.succeeded(permit, clock.monotonic())
            return rows
        except BaseException as error:
            arrival.ended = clock.now()
            guard.end(error)
            await self._leave(unit, error)
            if self.runtime.tasks.cancelling():
                arrival.outcome = GiveBack()
                raise asyncio.CancelledError from error
            if unit.lost:
                arrival.fenced = True
                return None
            if await self._store_failed(error):
                raise Readmit(str(error)) from error
            free = self._free(arrival, error, guard, permit)
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
            if permit.probe:  # and nothing is decided yet
                pause.released(permit, clock.monotonic())

    def _defer(self, arrival: Arrival, wait: float, cause: str, sentence: str) -> None:
        arrival.ended = self.runtime.clock.now()
        arrival.outcome = Again(arrival.ended + timedelta(seconds=wait), deferred=True, cause=cause, error=sentence)

    def _free(self, arrival: Arrival, error: BaseException, guard: BreakerGuard, permit: Permit) -> float | None:
        """Seconds to wait where the failure uses no attempt: a breaker is open, or the subscription is paused."""
        if guard.deferred:
            return guard.wait
        pause, now = self.pause_of(arrival.subscription), self.runtime.clock.monotonic()
        if isinstance(error, Defer | BreakerOpen):
            return None
        if isinstance(error, (Reject, *arrival.subscription.retry.never)):  # the handler's word on this delivery
            pause.succeeded(permit, now)
            return None
        subject = arrival.known.subject or arrival.known.id
        return None if pause.failed(permit, fault_of(error), arrival.key, subject, now) else pause.circuit.wait(now)

    def pause_of(self, subscription: Subscription) -> SameFault:
        """What pauses this subscription while its deliveries fail the same way."""
        queue = subscription.queue
        known = self.pauses.get(queue)
        if known is None:
            known = self.pauses[queue] = SameFault(queue, self._paused)
        return known

    def _paused(self, pause: SameFault, state: State) -> None:
        if pause.queue not in self.circuits:  # from its first pause on it is reported as a breaker is
            self.circuits[pause.queue] = pause.circuit
            assert pause.fault is not None
            self.runtime.trouble(
                "a subscription is paused: its deliveries fail the same way",
                subscription=pause.queue, kind=pause.fault.kind, code=pause.fault.code, place=pause.fault.place,
            )  # fmt: skip
        self.breaker_changed(pause.queue, state)

    async def _run(
        self, arrival: Arrival, unit: UnitOfWork, claim: HandlerClaim, guard: BreakerGuard
    ) -> tuple[OutboxRow, ...] | None:
        envelope, subscription = arrival.known, arrival.subscription
        queue = subscription.queue
        limit = self._time_limit(queue, subscription).run()
        tx = Tx(self._about(arrival), self.use, unit, guard, self.blocking, limit)
        traceparent = arrival.delivery.headers.get("traceparent")
        run = Processing(
            subscription.service,
            queue,
            envelope.type,
            envelope.id,
            envelope.correlation_id,
            arrival.attempt,
            traceparent if isinstance(traceparent, str) else envelope.traceparent,
        )
        with self.runtime.signals.around(run) as arrival.attempt_traceparent:
            team_run = TeamRun(queue, self.runtime.tasks.leave)
            value = await team_run.result_of(subscription.call, *_arguments(arrival, tx), limit=limit)
            if unit.lost:
                raise Superseded
            arrival.outcome, arrival.ended = decide.returned(value, subscription), self.runtime.clock.now()
            if unit.opened:
                return await self._commit(unit, claim)
        await unit.leave()
        return None

    async def _commit(self, unit: UnitOfWork, claim: HandlerClaim) -> tuple[OutboxRow, ...]:
        ending = claim.ending()
        if ending is None:
            unit.lost = True
            raise Superseded
        rows = await unit.commit(ending)
        await unit.leave()
        return rows

    def _time_limit(self, queue: str, subscription: Subscription) -> TimeLimit:
        known = self._time_limits.get(queue)
        if known is None:
            known = self._time_limits[queue] = TimeLimit(subscription.timeout.total_seconds())
        return known

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


def _arguments(arrival: Arrival, tx: Tx[Any]) -> tuple[Any, ...]:
    if arrival.role is Role.UNDO:
        return arrival.event, arrival.did, arrival.why, tx
    return arrival.event, tx
