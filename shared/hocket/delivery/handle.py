"""Station handle: runs the handler under timeout, breaker and span."""

import asyncio
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from hocket.declarations.subscription import Subscription
from hocket.delivery import decide
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.blame import Blame, Whose, ended_by_hand, name_handler
from hocket.delivery.claim import HandlerClaim
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.ending.history import probes_of
from hocket.delivery.poison import ALONE_FROM, CRASH, STARTS, SharedExclusiveLock, alone_of, starts_of
from hocket.delivery.projecting.guard import DROPPED_SECONDS, GenerationDropped, hold
from hocket.delivery.record import Recorder
from hocket.errors import BreakerOpen, Defer, HocketError, LeaseExpired, Reject, StoreError
from hocket.masking.mask import take
from hocket.outcome import Again, Bury, GiveBack
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import Breakers
from hocket.resilience.circuit import Permit, State
from hocket.resilience.guard import PROBES_PER_DELIVERY, BreakerGuard
from hocket.resilience.isolation import TeamRun
from hocket.resilience.own_frames import defined_at
from hocket.resilience.same_fault import SameFault, fault_of
from hocket.resilience.time_limit import TimeLimit
from hocket.runtime import Runtime
from hocket.store.group_commit import takes_a_write
from hocket.store.records import OutboxRow
from hocket.store.unit_of_work import Superseded, UnitOfWork
from hocket.telemetry.signals import Processing
from hocket.tx import AttemptInfo, Tx

PROMISE = (
    "the handler runs under timeout, breaker and span; a redelivered event is marked `started` first, a suspect "
    "runs alone; its own transaction begins with the inbox write"
)


class Readmit(Exception):
    """The delivery must be looked up again: the outcome of its commit is unknown, or another run ended it.

    `away` says that the store takes no writes.
    """

    def __init__(self, why: str, *, away: bool = True) -> None:
        super().__init__(why)
        self.away = away


@dataclass(slots=True)
class Handling:
    """Runs the handlers of one service."""

    runtime: Runtime
    recorder: Recorder
    breakers: Breakers
    blocking: BlockingCalls
    use: Any = None
    pauses: dict[str, SameFault] = field(default_factory=dict)  # by queue
    _blame: Blame = field(init=False)
    _lock: SharedExclusiveLock = field(default_factory=SharedExclusiveLock)
    _time_limits: dict[str, TimeLimit] = field(default_factory=dict)  # by queue

    def __post_init__(self) -> None:
        self._blame = Blame(self.runtime.store)

    async def handle(self, arrival: Arrival) -> tuple[OutboxRow, ...] | None:
        """Give the arrival its outcome; the outbox rows where the handler's own transaction has committed it all.

        `Readmit` where it must be looked up again.
        """
        starts = starts_of(arrival.row, self.runtime.instance.boot)
        alone = starts >= ALONE_FROM
        if alone or not self._lock.shared_at_once():
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
            if not await takes_a_write(self.runtime.store):
                raise Readmit(text_of(error, arrival.mask())) from error
            return True
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
        guard = BreakerGuard(self.breakers, clock, subscription.timeout.total_seconds(), subscription.queue)
        if subscription.breaker is not None and not await guard.begin(subscription.breaker):
            pause.released(permit, clock.monotonic())
            state = self.breakers.of(subscription.breaker).state
            self._defer(arrival, guard.wait, "breaker", f"breaker {subscription.breaker.name} is {state}")
            return None
        claim = HandlerClaim(self.recorder, arrival)
        unit = UnitOfWork(self.runtime.store, claim)
        try:
            rows = await self._run(arrival, unit, claim, guard)
            if (permit.probe or pause.fault is not None) and (rows is not None or not pause.at_commit):
                pause.succeeded(permit, clock.monotonic())
            arrival.permit = permit if rows is None else None
            return rows
        except BaseException as error:
            arrival.ended = clock.now()
            await guard.end(error)
            await self._leave(unit, error)
            if self.runtime.tasks.cancelling():
                arrival.outcome = GiveBack()
                raise asyncio.CancelledError from error
            if unit.lost:
                arrival.fenced = True
                return None
            try:
                await self._judge(arrival, error, guard, permit)
            except (Readmit, asyncio.CancelledError):
                raise
            except BaseException as broken:  # noqa: BLE001 -- its `__cause__`, its class: a team's error is a team's code
                about = f"{type(error).__name__}: this error cannot be read: it raises {type(broken).__name__}"
                await self._judge(arrival, HocketError(about), guard, permit)
            return None
        finally:
            if guard.busy:
                await guard.end()
            if permit.probe and arrival.permit is None:  # and nothing is decided yet
                pause.released(permit, clock.monotonic())

    async def _judge(self, arrival: Arrival, error: BaseException, guard: BreakerGuard, permit: Permit) -> None:
        """Give the arrival the outcome of this error; `Readmit` where it is no failed attempt."""
        name_handler(error, f"{arrival.subscription.queue} ({defined_at(arrival.subscription.call)})")
        await self._readmit(arrival, error)
        arrival.outcome = decide.failed(
            error,
            retry=arrival.subscription.retry,
            used=arrival.used,
            chance=self.runtime.chance,
            free=self._free(arrival, error, guard, permit),
            mask=arrival.mask(),
            whole=self.runtime.whole_stacks,
        )
        if guard.probed and isinstance(arrival.outcome, Again):
            arrival.outcome = replace(arrival.outcome, probes=probes_of(arrival.row) + 1)

    def _defer(self, arrival: Arrival, wait: float, cause: str, sentence: str) -> None:
        arrival.ended = self.runtime.clock.now()
        arrival.outcome = Again(timedelta(seconds=wait), deferred=True, cause=cause, error=sentence)

    def _free(self, arrival: Arrival, error: BaseException, guard: BreakerGuard, permit: Permit) -> float | None:
        """Seconds to wait where the failure uses no attempt: a breaker is open, or the subscription is paused."""
        if guard.deferred:
            costs = guard.probed and probes_of(arrival.row) >= PROBES_PER_DELIVERY
            return None if costs else guard.wait
        return self._paused_for(arrival, error, permit)

    def written(self, arrival: Arrival) -> None:
        """The end of its run is committed: where others fail at that, only now it has succeeded (RULES 6.11)."""
        permit, arrival.permit = arrival.permit, None
        pause = self.pause_of(arrival.subscription)
        if permit is not None and pause.at_commit:
            pause.succeeded(permit, self.runtime.clock.monotonic())

    def unwritable(self, arrival: Arrival, error: Exception) -> float | None:
        """The group commit refuses its end, for its own reason: as `_free`, for a run that its handler ended well."""
        permit, arrival.permit = arrival.permit, None
        return None if permit is None else self._paused_for(arrival, error, permit, at_commit=True)

    def undecided(self, arrival: Arrival) -> None:
        """Another run ended the delivery, or it is looked up again: its run tells nothing."""
        permit, arrival.permit = arrival.permit, None
        if permit is not None and permit.probe:
            self.pause_of(arrival.subscription).released(permit, self.runtime.clock.monotonic())

    def _paused_for(
        self, arrival: Arrival, error: BaseException, permit: Permit, *, at_commit: bool = False
    ) -> float | None:
        pause, now = self.pause_of(arrival.subscription), self.runtime.clock.monotonic()
        if isinstance(error, Defer | BreakerOpen):
            return None
        if isinstance(error, (Reject, *arrival.subscription.retry.never)):  # the handler's word on this delivery
            pause.succeeded(permit, now)
            return None
        subject = arrival.known.subject or arrival.known.id
        fault = fault_of(error, arrival.subscription.call)
        counts = pause.failed(permit, fault, arrival.key, subject, now, at_commit=at_commit)
        return None if counts else pause.circuit.wait(now)

    def pause_of(self, subscription: Subscription) -> SameFault:
        """What pauses this subscription while its deliveries fail the same way."""
        queue = subscription.queue
        known = self.pauses.get(queue)
        if known is None:
            known = self.pauses[queue] = SameFault(queue, self._paused)
        return known

    def _paused(self, pause: SameFault, state: State) -> None:
        if pause.queue not in self.breakers.shown:  # from its first pause on it is reported as a breaker is
            self.breakers.shown[pause.queue] = pause.circuit
            assert pause.fault is not None
            self.runtime.trouble(
                "a subscription is paused: its deliveries fail the same way",
                subscription=pause.queue, kind=pause.fault.kind, code=pause.fault.code, place=pause.fault.place,
            )  # fmt: skip
        self.breakers.changed(pause.queue, state)

    async def fold(self, arrival: Arrival, unit: UnitOfWork) -> None:
        """Run the handler of a projection in a transaction that others share, and set its outcome (RULES 14.1).

        Raises what the handler raises; nothing is decided then.
        """
        subscription, clock = arrival.subscription, self.runtime.clock
        arrival.began = clock.now()
        guard = BreakerGuard(self.breakers, clock, subscription.timeout.total_seconds(), subscription.queue)
        try:
            with self.runtime.signals.around(_processing(arrival)) as arrival.attempt_traceparent:
                await self._call(arrival, unit, guard)
        finally:
            await unit.leave()

    async def _run(
        self, arrival: Arrival, unit: UnitOfWork, claim: HandlerClaim, guard: BreakerGuard
    ) -> tuple[OutboxRow, ...] | None:
        with self.runtime.signals.around(_processing(arrival)) as arrival.attempt_traceparent:
            await self._call(arrival, unit, guard)
            if arrival.subscription.projected is not None:
                await hold(await unit.open(), arrival.subscription.projected, [arrival.key])
            if unit.opened:
                rows = await self._commit(unit, claim)
                self._blame.ended(arrival.key)
                return rows
        await unit.leave()
        return None

    async def _call(self, arrival: Arrival, unit: UnitOfWork, guard: BreakerGuard) -> None:
        subscription = arrival.subscription
        queue = subscription.queue
        guard.run = limit = self._time_limit(queue, subscription).run()
        tx = Tx(self._about(arrival), self.use, unit, guard, self.blocking, limit)
        take(arrival.mask)
        team_run = TeamRun(queue, self.runtime.tasks.leave)
        value = await team_run.result_of(subscription.call, *_arguments(arrival, tx), limit=limit)
        if unit.lost:
            raise Superseded
        arrival.outcome, arrival.ended = decide.returned(value, subscription), self.runtime.clock.now()

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
            known = self._time_limits[queue] = TimeLimit(subscription.timeout.total_seconds(), self.runtime.pauses)
        return known

    def _about(self, arrival: Arrival) -> AttemptInfo:
        envelope = arrival.known
        return AttemptInfo(
            arrival.key,
            envelope.correlation_id,
            envelope.subject,
            envelope.time,
            envelope.idempotency_key if arrival.role is Role.UNDO else "",
            arrival.step_key,
            arrival.attempt,
            bool(arrival.replay) or arrival.history,
            arrival.history and not arrival.subscription.side_effects,
            arrival.subscription.projected,
        )

    async def _leave(self, unit: UnitOfWork, error: BaseException) -> None:
        try:
            await unit.leave(error)
        except Exception:  # noqa: BLE001 -- the lease had run out, or the store is gone: it is rolled back either way
            return

    async def _readmit(self, arrival: Arrival, error: BaseException) -> None:
        """Raise `Readmit` where this error is no failed attempt (RULES 3.2)."""
        text = text_of(error, arrival.mask())
        if isinstance(error, GenerationDropped):  # its process is about to stop it
            await asyncio.sleep(DROPPED_SECONDS)
            raise Readmit(text, away=False) from error
        about = {"subscription": arrival.subscription.queue, "event": arrival.known.id, "error": text}
        match await self._blame.of(arrival.key, error):
            case Whose.STORE:
                raise Readmit(text) from error
            case Whose.PASSING:
                self.runtime.trouble("the database ended a run, and it goes again", **about)
                await asyncio.sleep(self._blame.wait(arrival.key))
                raise Readmit(text, away=False) from error
        if isinstance(error, StoreError) and not isinstance(error, LeaseExpired):
            self.runtime.trouble("the store takes writes: the error is this attempt's own", **about)
        arrival.claimed = ended_by_hand(error)


def _processing(arrival: Arrival) -> Processing:
    envelope, traceparent = arrival.known, arrival.delivery.headers.get("traceparent")
    return Processing(
        arrival.subscription.service,
        arrival.subscription.queue,
        envelope.type,
        envelope.id,
        envelope.correlation_id,
        arrival.attempt,
        traceparent if isinstance(traceparent, str) else envelope.traceparent,
        envelope.causation_id,
        envelope.subject,
    )


def _arguments(arrival: Arrival, tx: Tx[Any]) -> tuple[Any, ...]:
    if arrival.role is Role.UNDO:
        return arrival.event, arrival.did, arrival.why, tx
    return arrival.event, tx
