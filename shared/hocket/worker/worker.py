"""One running service: opens, consumes, relays, reports, and stops in the order that loses nothing (RULES 1.2)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext
from functools import partial
from types import MappingProxyType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.broker.port import Message, Transport, Verdict
from hocket.broker.topology import kit
from hocket.clock import Clock
from hocket.delivery.admit import Admission
from hocket.delivery.arrival import Arrival
from hocket.delivery.commit import Committer
from hocket.delivery.ending.dead_letter import foreign_of
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.ending.receipt import ended_of
from hocket.delivery.handle import Handling
from hocket.delivery.intake import INTAKE_BYTES
from hocket.delivery.record import Recorder
from hocket.delivery.runner import SubscriptionRunner
from hocket.delivery.settle import settle
from hocket.envelope.ids import Ids
from hocket.errors import HocketError, TransportError
from hocket.observe import Observer
from hocket.outbox.builder import OutboxBuilder
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.outbox.relay import Relay
from hocket.outcome import Seen
from hocket.resilience.circuit import Circuit
from hocket.resilience.guard import BreakerGuard
from hocket.resilience.supervisor import Spawn, Supervisor
from hocket.runtime import ServiceInstance
from hocket.service import Service
from hocket.store.port import Store
from hocket.store.records import OutboxRow, Retention
from hocket.streams.reader import StreamReader
from hocket.telemetry.signals import Signals
from hocket.worker.lease import hold_lease
from hocket.worker.reporter import Reporter
from hocket.worker.retention import RetentionSweeper
from hocket.worker.store_opening import StoreOpening

#: Seconds that handlers get to finish at a stop, and that the outbox gets to drain.
STOP_SECONDS = 10.0
DRAIN_SECONDS = 5.0
#: Seconds without an answer of the broker after which readiness says so (RULES 4.4).
SILENT_SECONDS = 10.0
#: Seconds that what `uses` made gets to close.
CLOSE_SECONDS = 10.0
#: Seconds after which the topology is declared again while all is well: nobody tells us of a binding that was removed.
KEEP_SECONDS = 60.0
#: Seconds between tries to declare and consume while the link comes and goes.
BEGIN_WAIT = 0.5


class Worker:
    """A service at work in this process."""

    def __init__(
        self,
        service: Service[Any],
        *,
        store: Store,
        transport: Transport,
        signals: Signals,
        clock: Clock,
        chance: random.Random,
        boot: str,
        max_event_bytes: int,
        version: str,
        retention: Retention | None = None,
    ) -> None:
        self.service = service
        self.store = store
        self.transport = transport
        self.signals = signals
        self.clock = clock
        ids = Ids(clock, chance)
        self.who = ServiceInstance(service.name, f"{service.name}-{boot[-6:]}", boot)
        self.supervisor = Supervisor(service.name, signals)
        self.spawn: Spawn = self.supervisor.spawn
        self.circuits: dict[str, Circuit] = {}
        declared = service.declarations
        self.relay = Relay(service.name, store, transport, signals, clock)
        self.reporter = Reporter(
            self.who, version, declared, store, self.relay, signals, clock, self.circuits, self._in_hand
        )
        speaker = OutboxBuilder(service.name, ids, clock, signals, max_event_bytes, declared.older)
        recorder = Recorder(self.who, speaker, self._shed)
        changed, keep = self.reporter.breaker_changed, retention or Retention()
        self.admission = Admission(store, self.who, clock, declared.subscriptions, keep.inbox)
        self.sweeper = RetentionSweeper(service.name, keep, store, signals, clock)
        self.handling = Handling(
            store, recorder, signals, clock, chance, self.circuits, changed, self.supervisor.cutting
        )
        self.committer = Committer(
            store, recorder, signals, clock, chance, won=self._won, lost=self._lost, unknown=self.relay.look_again
        )
        self.lanes = self._lanes()
        self.outsides = OutsideTransactions(
            declared, store, speaker, ids, clock, self.circuits, changed, self.full, self.relay.hand,
            unknown=self.relay.look_again,
        )  # fmt: skip
        self.readings = self._readings(ids)
        self.opening = StoreOpening(service.name, store, service.tables, signals, chance)
        self._uses = AsyncExitStack()
        self._begun = False
        self._beginning: asyncio.Task[None] | None = None

    def _lanes(self) -> dict[str, SubscriptionRunner]:
        every = self.service.declarations.subscriptions
        return {queue: SubscriptionRunner(each, self, INTAKE_BYTES // len(every)) for queue, each in every.items()}

    def _readings(self, ids: Ids) -> list[StreamReader]:
        readers = self.service.readers if isinstance(self.service, Observer) else {}
        cutting, name = self.supervisor.cutting, self.service.name
        return [
            StreamReader(name, source, call, self.store, self.transport, self.signals, self.clock, ids, cutting)
            for source, call in readers.items()
        ]

    async def start(self) -> None:
        """Open the store, begin to connect and to work; returns before the broker, or a store that is away, is reached.

        `DeclarationError` and `ConfigError` say what is wrong before anything runs.
        """
        self.service.complete()
        try:
            late = await self.opening.start(partial(self.relay.start, self.spawn), self._work, self.spawn)
            self._beginning = late or self._beginning
        except BaseException:
            await self._close()
            raise

    async def _work(self) -> None:
        use = await self._uses.enter_async_context(_opened(self.service))
        self.handling.use = self.outsides.use = use
        for reading in self.readings:
            reading.use = use
        await self.transport.open()
        self._name_breakers()
        lease = hold_lease(self.service.name, self.store, self.signals, self.relay.look_again, self.committer.suspect)
        self.spawn("lease", lease)
        self.spawn("commit", self.committer.run())
        self.spawn("sweep", self.sweeper.run())
        self.spawn("sample", self.reporter.sample())
        self._beginning = self.spawn("begin", self._begin())

    def _name_breakers(self) -> None:
        """Breakers that handlers declare are seen as closed from the start, not only once they have opened."""
        guard = BreakerGuard(self.circuits, self.clock, b"", self.reporter.breaker_changed)
        for lane in self.lanes.values():
            if (breaker := lane.subscription.breaker) is not None:
                self.signals.breaker(self.service.name, breaker.name, guard.circuit(breaker).state)

    async def _begin(self) -> None:
        topology = kit() + self.service.declarations.topology()
        await self._until_linked(lambda: self.transport.declare(topology))
        self.relay.open(self.spawn)

        async def again() -> None:
            try:
                await self.transport.declare(topology)
            except HocketError as error:
                self.signals.trouble(self.service.name, "the topology could not be declared again", error=str(error))

        async def keep() -> None:
            while True:
                await asyncio.sleep(KEEP_SECONDS)
                if self.transport.link().ready:
                    await again()

        self.transport.on_ready(again)
        self.spawn("keep", keep())
        for lane in self.lanes.values():
            await self._until_linked(partial(lane.start, self.transport))
        for reading in self.readings:
            self.spawn(f"read {reading.source}", reading.run())
        self._begun = True
        self.spawn("report", self.reporter.run())

    async def _until_linked(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self.transport.until_ready()
            try:
                return await work()
            except TransportError as error:
                self.signals.trouble(self.service.name, "the link was lost at the start", reason=str(error))
                await asyncio.sleep(BEGIN_WAIT)

    async def stop(self, seconds: float = STOP_SECONDS) -> None:
        """Finish or give back what is in hand, publish what is due, close; everything within bounds."""
        try:
            if self._beginning is not None:
                self._beginning.cancel()  # nothing begins any more
                await asyncio.wait([self._beginning])
            await asyncio.gather(*(lane.stop(seconds) for lane in self.lanes.values()))
            for reading in self.readings:
                if reading.consumer is not None:
                    await reading.consumer.cancel()
            if self.transport.link().ready and not self.supervisor.failed:
                await self.relay.drained(DRAIN_SECONDS)
            for consumer in self._consumers():
                await consumer.close()
        finally:
            await self._close()

    async def _close(self) -> None:
        await self.supervisor.stop()
        await self.transport.close()
        await self._end_uses()
        await self.store.close()

    async def _end_uses(self) -> None:
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._uses.aclose()
        except Exception as error:  # noqa: BLE001 -- a team's code may raise anything; the rest closes all the same
            self.signals.trouble(self.service.name, "what the service uses did not close", error=text_of(error))

    async def kill(self) -> None:
        """Die as a killed process would: tasks cut at an await, nothing committed that was not, nothing settled.

        The caller cuts the transport and abandons the store.
        """
        await self.supervisor.stop()
        await self._end_uses()

    @property
    def live(self) -> bool:
        """Whether every task of the kit still works."""
        return not self.supervisor.failed

    def health(self) -> list[str]:
        """Why the service is not ready, in sentences; none: it is."""
        reasons = []
        if self.supervisor.failed:
            reasons.append(self.supervisor.failed)
        if self.opening.reason:
            return [*reasons, self.opening.reason]
        link = self.transport.link()
        if not link.ready:
            reasons.append(link.reason or "the broker is not connected yet")
        elif not self._begun:
            reasons.append("the topology is being declared")
        if self.committer.failing:
            reasons.append(self.committer.failing)
        if (silent := self.relay.silent_for()) > SILENT_SECONDS:
            reasons.append(f"the broker has not confirmed anything for {silent:.0f} s")
        if self.full():
            reasons.append("as many events wait for the broker as the bound allows")
        return reasons

    def idle(self) -> bool:
        """Whether nothing is in work and nothing due waits."""
        lanes = all(lane.idle() for lane in self.lanes.values())
        return self._begun and lanes and self.committer.idle and self.relay.idle and all(r.idle for r in self.readings)

    def parked(self) -> list[str]:
        """The queues whose deliveries wait for nothing but an open breaker."""
        return [queue for queue, lane in self.lanes.items() if lane.parked()]

    def full(self) -> bool:
        """Whether the outbox is at its bound of due events."""
        return self.relay.full

    def outside(
        self, key: str | None, correlation_id: str | None, connection: AsyncConnection | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """A transaction outside a handler; with a `connection` it joins one that an application owns."""
        self.opening.check()
        if connection is not None:
            return self.outsides.joined(key, correlation_id, connection, self.relay.nudge)
        return self.outsides.transaction(key, correlation_id)

    async def send(
        self, subscription: str, body: bytes, content_type: str, *,
        replay: str, attempt: int, headers: Mapping[str, object] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Publish to one subscription at once, confirmed (RULES 4.7, 8.4); of `headers` the foreign ones go with it."""
        service = subscription.partition(".")[0]
        sent = {**foreign_of(headers), "hocket-attempt": attempt, "hocket-replay": replay}
        message = Message(service, subscription, body, content_type, sent, app_id=self.service.name)
        [answer] = await self.transport.publish([message])
        if answer.verdict is not Verdict.CONFIRMED:
            raise TransportError(
                f"the replay to {subscription} is {answer.verdict.value}: {answer.reason or 'no reason given'}; "
                "see that the service has started once on this broker, then replay again"
            )

    def finished(self, arrival: Arrival, rows: tuple[OutboxRow, ...]) -> None:
        """The handler's own transaction has committed everything of this arrival."""
        self._won([arrival], rows)

    def _won(self, arrivals: Sequence[Arrival], rows: Sequence[OutboxRow]) -> None:
        self.relay.hand(rows)
        if not arrivals:
            return
        if any(isinstance(each.outcome, Seen) for each in arrivals):
            self.relay.nudge()
        settle(arrivals)
        done: dict[str, list[Arrival]] = {}
        for each in arrivals:
            done.setdefault(each.subscription.queue, []).append(each)
        for queue, some in done.items():
            self.lanes[queue].done(some)
        self.signals.attempts([ended for each in arrivals if (ended := ended_of(each)) is not None])

    def _lost(self, arrival: Arrival) -> None:
        self.lanes[arrival.subscription.queue].again(arrival)

    def _shed(self) -> bool:
        if not self.relay.receipts_full:
            return False
        self.reporter.shed += 1
        return True

    def _in_hand(self) -> dict[str, int]:
        return {queue: lane.in_hand for queue, lane in self.lanes.items()}

    def _consumers(self) -> list[Any]:
        every: list[Any] = [each for lane in self.lanes.values() for each in lane.consumers()]
        return every + [reading.consumer for reading in self.readings if reading.consumer is not None]


def _opened(service: Service[Any]) -> AbstractAsyncContextManager[Any]:
    """What the service needs outside, as its declaration makes it."""
    if service.uses is None:
        return nullcontext()
    return service.uses(service.settings()) if service.settings is not None else service.uses()
