# long: the way of one subscription, from its queue, from history and in batches; each part stands elsewhere
"""Runs one subscription: leads its deliveries through the stations and pauses its intake."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import ClassVar

from hocket.broker.port import Consumer, Delivery
from hocket.declarations.subscription import Subscription
from hocket.delivery.admit import Admission
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.commit import Committer
from hocket.delivery.decode import decode
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.former_queue import FormerQueues
from hocket.delivery.gates.drift import DriftGate
from hocket.delivery.gates.gate import Gate, Room, is_noted, shut_out
from hocket.delivery.gates.patience import Patience
from hocket.delivery.handle import Handling, Readmit
from hocket.delivery.intake import ADMIT_BATCH, Intake, PrefetchBudget
from hocket.delivery.overdue.hands import TimerHands
from hocket.delivery.projecting.batch import ALONE_AT_ONCE, BatchLane
from hocket.errors import StoreError
from hocket.masking.mask import ALWAYS
from hocket.outcome import Again, GiveBack
from hocket.resilience.breakers.registry import Breakers
from hocket.resilience.breakers.view import SharedBreaker
from hocket.resilience.own_frames import defined_at
from hocket.resilience.retrying import until_done
from hocket.resilience.supervisor import MAX_LEFT
from hocket.resilience.time_limit import CLEAN_UP_SECONDS
from hocket.runtime import Runtime
from hocket.store.group_commit import STORE_BACKOFF
from hocket.store.records import OutboxRow

#: Batches that are admitted at once: while the store looks up the keys of one, the next is decoded.
ADMITTING = 2
#: Seconds between two looks at a breaker that is not closed.
PATIENCE_LOOK_SECONDS = 1.0
#: Seconds that giving back deliveries at a stop may take.
GIVE_BACK_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What all runners of one service share: the stations, and callbacks of the worker."""

    runtime: Runtime
    admission: Admission
    handling: Handling
    committer: Committer
    breakers: Breakers
    full: Callable[[], bool]  # whether the outbox is at its bound of due events (RULES 4.6)
    finished: Callable[[Arrival, tuple[OutboxRow, ...]], None]  # the handler's own transaction has committed it all


@dataclass(slots=True)
class SubscriptionRunner:
    """Runs one subscription, from intake to commit."""

    #: Batches that it admits at once, and whether what is in hand is deferred while its breaker is open.
    admitting: ClassVar[int] = ADMITTING
    defers: ClassVar[bool] = True
    subscription: Subscription
    pipeline: Pipeline
    share: int  # bytes of deliveries that it may hold
    intake: Intake = field(init=False)
    gate: Gate = field(init=False)
    drift: DriftGate = field(init=False)
    prefetch: int = field(init=False)  # deliveries that the broker hands it before the first of them is settled
    consumer: Consumer | None = None
    in_progress: int = 0
    former: FormerQueues = field(init=False)
    past: dict[str, Consumer] = field(default_factory=dict)  # what gives it history, by the queue of its deliveries
    shared: SharedBreaker | None = field(init=False)  # its breaker
    _ready: deque[Arrival] = field(default_factory=deque)
    _waiting: "deque[asyncio.Future[None]]" = field(default_factory=deque)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _copies: dict[bytes, list[Delivery]] = field(default_factory=dict)
    _timers: TimerHands = field(default_factory=TimerHands)
    _admitting: int = 0
    _stopping: bool = False
    batches: BatchLane | None = None  # of a projection's generation
    _admitters: "list[asyncio.Task[None]]" = field(default_factory=list)
    _handlers: "list[asyncio.Task[None]]" = field(default_factory=list)

    def __post_init__(self) -> None:
        default = max(self.pipeline.runtime.config.prefetch, self.subscription.concurrency)
        self.prefetch = self.subscription.prefetch or default
        self.drift = DriftGate(self.subscription)
        breaker = self.subscription.breaker
        self.shared = self.pipeline.breakers.of(breaker) if breaker is not None else None
        handling, clock = self.pipeline.handling, self.pipeline.runtime.clock
        self.gate = Gate(
            self.subscription, self.prefetch, self.shared, lambda: handling.pause_of(self.subscription).circuit,
            self._blocked, clock,
        )  # fmt: skip
        self.intake = Intake(PrefetchBudget(self.share, self.prefetch), is_noted)
        self.former = FormerQueues(self.pipeline.runtime, self.subscription, self.intake, self.prefetch)
        if self.subscription.projected is not None:
            self.batches = BatchLane(
                self.subscription, self.pipeline.runtime, handling, self.pipeline.committer,
                alone=self._run_alone, back=self._give_back, readmit=self.readmit, later=self._run_later,
                is_stale=self._is_stale,
            )  # fmt: skip

    async def start(self) -> None:
        """Consume, and start the tasks that admit and handle."""
        await self.consume()
        self.begin()

    async def consume(self) -> None:
        """Take deliveries from its queue from now on."""
        queue, consume = self.subscription.queue, self.pipeline.runtime.transport.consume
        early: list[Delivery] = []  # delivered before its consumer is known, to tasks that run already

        def deliver(delivery: Delivery) -> None:
            (early.append if self.consumer is None else self.intake.deliver)(delivery)

        into = deliver if self._handlers else self.intake.deliver
        self.consumer = self.intake.consumer = await consume(queue, prefetch=self.prefetch, deliver=into)
        for each in early:
            self.intake.deliver(each)
        self.former.start()

    async def open_history(self, history: Consumer) -> None:
        """The log is opened, or opened again: whatever an earlier opening has left may go on."""

    def close_history(self) -> None:
        """The log is not read any more."""

    def begin(self) -> None:
        """Start the tasks that admit and handle, whatever delivers."""
        queue, spawn = self.subscription.queue, self.pipeline.runtime.tasks.spawn
        self.pipeline.runtime.tasks.end_of_left[queue] = self.unstuck
        self._admitters = [spawn(f"admit {queue} {n}", self._admit()) for n in range(self.admitting)]
        if self.shared is not None and self.defers and not self.gate.undoes:
            self._admitters.append(spawn(f"watch {queue}", self._watch(self.shared)))
        many = self.subscription.concurrency if self.batches is None else ALONE_AT_ONCE
        self._handlers = [spawn(f"handle {queue} {n}", self._handle()) for n in range(many)]
        if self.batches is not None:
            self._handlers.append(spawn(f"fold {queue}", self.batches.run()))

    def idle(self) -> bool:
        """Whether no delivery is in progress, and none waits except for an open breaker."""
        return not self.in_progress and not self._admitting and (not len(self.intake) or self.parked())

    def parked(self) -> bool:
        """Whether its breaker is open, or it is paused, and that period is not over: the buffer waits."""
        return self.gate.parked()

    def stuck(self) -> str:
        """Why nothing more begins: so many runs go on although they were cancelled; "" below the bound."""
        many = self.pipeline.runtime.tasks.left_of(self.subscription.queue)
        if many < MAX_LEFT:
            return ""
        return (
            f"{self.subscription.queue} takes nothing more: {many} runs of {defined_at(self.subscription.call)} go on "
            "after their time was over; let it end when it is cancelled, or restart the service"
        )

    def unstuck(self) -> None:
        """A run that was left behind has ended: go on where the bound allows it."""
        self._wake(len(self._ready))
        self.intake.wake()

    def _blocked(self) -> bool:
        """Whether it takes nothing at all, whatever it is."""
        return self.pipeline.full() or bool(self.pipeline.committer.failing) or bool(self.stuck())

    def _room(self) -> Room:
        return self.gate.room(self.in_progress, len(self.intake) > 0)

    async def _admit(self) -> None:
        while True:
            batch = await self.intake.take(self._consumer_of, self._room)
            await self._admitted(batch, self.gate.instead())

    async def _admitted(self, batch: list[Delivery], instead: Again | None = None) -> None:
        """Admit these, and let them be handled; `instead` is the outcome of those that would call."""
        self._admitting += 1
        now = self.pipeline.runtime.clock.now()
        arrivals = [self.arrival_of(delivery, now) for delivery in batch]
        fresh = [each for each in arrivals if not self._is_copy(each)]
        self.in_progress += len(fresh)
        self.drift.look(fresh)
        fresh = self._timers.enter(fresh)
        try:
            await self._until_admitted(fresh)
        except asyncio.CancelledError:
            self._give_back(fresh)
            raise
        finally:
            self._admitting -= 1
        self._go_on(fresh, instead)

    def _go_on(self, fresh: list[Arrival], instead: Again | None) -> None:
        """Let those be handled that are not decided yet."""
        for each in fresh:
            each.outcome = each.outcome or (None if each.role is Role.FAILURE else instead)
            if each.outcome is not None:
                each.ended = self.pipeline.runtime.clock.now()
                self.pipeline.committer.submit(each)
            elif self.batches is not None and self.batches.takes(each):
                self.batches.submit(each)
            else:
                self._ready.append(each)
        self._wake(len(fresh))

    def _run_alone(self, arrival: Arrival) -> None:
        self._ready.append(arrival)
        self._wake(1)

    def _run_later(self, arrival: Arrival) -> None:
        raise AssertionError("without an order nothing follows another one")

    def _is_stale(self, arrival: Arrival) -> bool:
        """Whether it belongs to an earlier channel, and is delivered again: in no order it may run all the same."""
        return False

    async def _watch(self, shared: SharedBreaker) -> None:
        """RULES 6.6: what is in hand waits a minute for the breaker; then it is deferred, the queue keeps the rest."""
        patience, asked = Patience(), None
        clock = self.pipeline.runtime.clock
        while True:
            await asyncio.sleep(PATIENCE_LOOK_SECONDS)
            prefetch = patience.prefetch(shared, clock.monotonic())
            if prefetch != asked:
                asked = prefetch
                for consumer in self.consumers():
                    consumer.limit(self.prefetch if prefetch is None else prefetch)
            while prefetch == 0 and (batch := self.intake.in_hand(ADMIT_BATCH)):
                await self._admitted(batch, shut_out(shared, shared.wait(clock.monotonic())))

    def holds(self, arrival: Arrival) -> bool:
        """Whether this delivery, or another one of the same event, waits here or is in progress."""
        return self.has(arrival.key, arrival.delivery.message_id)

    def has(self, key: bytes, message_id: str) -> bool:
        """The same, by the key of the event or the id of a message of it."""
        return key in self._copies or self.intake.holds(message_id)

    def arrival_of(self, delivery: Delivery, now: datetime) -> Arrival:
        """A delivery of this subscription, decoded."""
        history = delivery.queue in self.past
        arrival = Arrival(delivery, self._consumer_of(delivery), self.subscription, now, history)
        decode(arrival)
        return arrival

    def _consumer_of(self, delivery: Delivery) -> Consumer:
        found = self.former.consumers.get(delivery.queue) or self.past.get(delivery.queue) or self.consumer
        assert found is not None
        return found

    def consumers(self) -> list[Consumer]:
        """Its own, and those of former names and of its history."""
        own = [] if self.consumer is None else [self.consumer]
        return [*own, *self.former.consumers.values(), *self.past.values()]

    def _is_copy(self, arrival: Arrival) -> bool:
        """Whether the same delivery is in progress already; then this copy waits for its end."""
        if not arrival.key:
            return False
        if arrival.key in self._copies:
            queue, epoch = arrival.delivery.queue, arrival.delivery.handle.epoch
            stale: list[Delivery] = []
            kept: list[Delivery] = []
            for each in self._copies[arrival.key]:
                (stale if each.queue == queue and each.handle.epoch < epoch else kept).append(each)
            self.intake.settled(stale)  # the broker delivers them again
            self._copies[arrival.key] = [*kept, arrival.delivery]
            return True
        self._copies[arrival.key] = []
        return False

    async def _until_admitted(self, arrivals: list[Arrival]) -> None:
        pipeline = self.pipeline

        def failed(error: StoreError) -> None:
            reason = text_of(error, ALWAYS)
            pipeline.runtime.trouble("the store does not answer", reason=reason)
            pipeline.committer.suspect(reason)

        admit = partial(pipeline.admission.admit, arrivals)
        await until_done(admit, STORE_BACKOFF, pipeline.runtime.chance, on=StoreError, failed=failed)

    async def _handle(self) -> None:
        while True:
            arrival = await self._next()
            try:
                rows = await self.pipeline.handling.handle(arrival)
            except Readmit as why:
                if why.away:
                    self.pipeline.committer.suspect(str(why))
                else:
                    self.pipeline.committer.unknown()
                self.readmit(arrival)
            except BaseException:  # this run was cancelled, at whatever point
                self._give_back([arrival])
                raise
            else:
                if rows is not None:
                    self.pipeline.finished(arrival, rows)
                else:
                    self.pipeline.committer.submit(arrival)
            if self.pipeline.runtime.tasks.cancelling():  # the handler suppressed the cancellation
                return

    async def _next(self) -> Arrival:
        while not self._ready or self.stuck():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                self._wake(1)  # it may have been woken for an arrival that it will not take
                raise
        return self._ready.popleft()

    def _wake(self, many: int) -> None:
        """Wake this many idle handlers; fewer where fewer arrivals are ready, or fewer handlers idle."""
        many = min(many, len(self._ready))
        while many > 0 and self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():  # else its handler was cancelled
                waiter.set_result(None)
                many -= 1

    def readmit(self, arrival: Arrival) -> None:
        """Look the delivery up in the inbox again: another run ended it, or the outcome of its commit is unknown."""
        self.intake.put_back(arrival.delivery, first=arrival.timer is not None)  # no alarm may overtake it
        self._timers.lost(arrival)
        self._release([arrival])

    def settled(self, arrivals: Sequence[Arrival], rows: Sequence[OutboxRow] = ()) -> None:
        """These arrivals are settled; `rows` are what their commit sends, and perhaps others'."""
        self._timers.committed(arrivals)
        self.intake.settled([each.delivery for each in arrivals])
        self._release(arrivals)

    def _release(self, arrivals: Sequence[Arrival]) -> None:
        self.in_progress -= len(arrivals)
        for arrival in arrivals:
            for copy in self._copies.pop(arrival.key, ()):
                self.intake.put_back(copy)
            for alarm in self._timers.leave(arrival):
                self.readmit(alarm)
        self.intake.wake()
        if not self.in_progress:
            self._idle.set()
        if self._stopping:
            self._return_buffered()

    async def stop(self, seconds: float) -> None:
        """RULES 1.2: accept no more deliveries, finish those in progress within `seconds` or give them back."""
        if not self._handlers:
            return
        for consumer in self.consumers():
            await consumer.cancel()
        await self._cancel(self._admitters)
        self._stopping = True
        self._return_buffered()
        self._give_back(list(self._ready))
        self._ready.clear()
        await self._until_idle(seconds)
        await self._cancel(self._handlers)
        await self._until_idle(GIVE_BACK_SECONDS)

    async def _until_idle(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                while self.in_progress:
                    self._idle.clear()
                    await self._idle.wait()
        except TimeoutError:
            return

    def _return_buffered(self) -> None:
        """Give back deliveries that were not begun, and copies that waited for a delivery that has just ended."""
        returned: dict[str, list[Delivery]] = {}
        for each in self.intake.clear():
            returned.setdefault(each.queue, []).append(each)
        for some in returned.values():  # at once: an alarm must stand behind its answer in the queue again
            self._consumer_of(some[0]).give_back([each.handle for each in some])

    def _give_back(self, arrivals: list[Arrival]) -> None:
        """A stop came before these deliveries began."""
        for arrival in arrivals:
            arrival.outcome, arrival.ended = GiveBack(), self.pipeline.runtime.clock.now()
            self.pipeline.committer.submit(arrival)

    async def _cancel(self, tasks: "list[asyncio.Task[None]]") -> None:
        self.pipeline.runtime.tasks.cancel(tasks)
        await asyncio.wait(tasks, timeout=CLEAN_UP_SECONDS + GIVE_BACK_SECONDS)
