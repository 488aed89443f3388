"""`Worker`: starts the parts of one service, runs them, and stops them in an order that loses nothing (RULES 1.2)."""

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.broker.port import Transport
from hocket.broker.topology import kit
from hocket.clock import Clock
from hocket.config import Config
from hocket.declarations.projections.tables import other_tables
from hocket.declarations.subscription import Subscription
from hocket.delivery.admit import Admission
from hocket.delivery.arrival import Arrival
from hocket.delivery.commit import Committer
from hocket.delivery.ending.receipt import ended_of
from hocket.delivery.handle import Handling
from hocket.delivery.ordering.choose import leave_order, runner_of
from hocket.delivery.record import Recorder
from hocket.delivery.runner import Pipeline, SubscriptionRunner
from hocket.delivery.settle import settle
from hocket.envelope.ids import Ids
from hocket.outbox.backlog import Backlog
from hocket.outbox.builder import OutboxBuilder, builder_of
from hocket.outbox.outside_transactions import OutsideTransactions
from hocket.outbox.relay import Relay
from hocket.outbox.timers import TimerCaller
from hocket.outcome import Seen
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import Breakers, Shown
from hocket.resilience.supervisor import END_SECONDS, Supervisor
from hocket.runtime import Runtime, ServiceInstance
from hocket.service import Service
from hocket.store.port import Store
from hocket.store.records import OutboxRow
from hocket.streams import replay
from hocket.streams.backfill.backfills import Backfills
from hocket.streams.log_check import LogCheck
from hocket.streams.reader import readers_of
from hocket.streams.refill.checks import start_checks
from hocket.telemetry.signals import Signals
from hocket.worker import resource
from hocket.worker.breaker_sync import BreakerSpeaker, StoreRows, keep_fresh, name_breakers
from hocket.worker.clock_watch import ClockWatch
from hocket.worker.commands.runs import CommandRuns
from hocket.worker.copies import CopyWatch
from hocket.worker.health_watch import HealthWatch
from hocket.worker.http.commands import commands_of
from hocket.worker.lease import hold_lease
from hocket.worker.projections.keeper import Projections
from hocket.worker.readiness import in_progress, reasons_of, told_late
from hocket.worker.removed_queues import RemovedQueues, declared_of
from hocket.worker.reporter import Reporter
from hocket.worker.retention import sweeper_of
from hocket.worker.store_opening import StoreOpening
from hocket.worker.topology import TopologyDeclaration, until_linked
from hocket.worker.webhooks.room import Webhooks


class Worker:
    """One service in this process."""

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
        version: str,
        config: Config,
    ) -> None:
        self.service, self.pseudonyms = service, config.pseudonyms()
        self.runtime = runtime = Runtime(
            ServiceInstance(service.name, f"{service.name}-{boot[-6:]}", boot),
            clock,
            Ids(clock, chance),
            chance,
            signals,
            store,
            transport,
            Supervisor(service.name, signals),
            config,
        )
        self.circuits: dict[str, Shown] = {}
        declared = service.declarations
        self.backlog = Backlog(runtime)
        self.relay = Relay(runtime, self.backlog)
        self.reporter = Reporter(runtime, version, declared, self.relay, self.circuits, partial(in_progress, self))
        builder = builder_of(runtime, self.pseudonyms, declared.older)
        recorder = Recorder(runtime.instance, builder, self._shed)
        self.blocking = BlockingCalls(config.blocking_threads, partial(told_late, runtime))
        rows = StoreRows(runtime, BreakerSpeaker(declared, builder), self.backlog.add)
        self.breakers = Breakers(rows, clock, self._breaker_changed, chance, self.circuits)
        self.handling = Handling(runtime, recorder, self.breakers, self.blocking)
        self.committer = self._committer(recorder)
        self.runners = self._runners(Admission(runtime, declared.subscriptions))
        self.reporter.runners = self.runners
        self.projections = Projections(runtime, declared, self.runners, self._runner, self.handling)
        self.reporter.projections = self.projections
        self.readers = readers_of(runtime, service, self.blocking)
        self.outside_transactions = self._outside(builder)
        self._watches(StoreOpening(runtime, other_tables(service.tables, declared.projections)))
        self.commands = commands_of(self, rows)
        self.command = CommandRuns(runtime, self.outside_transactions, self.opening.check).answer
        self._uses, self._started, self.webhooks = AsyncExitStack(), False, Webhooks(self)
        self._starting: asyncio.Task[None] | None = None

    def _watches(self, opening: StoreOpening) -> None:
        self.opening, declared = opening, self.service.declarations.subscriptions
        self.timers = self.reporter.timers = TimerCaller(self.runtime, self.backlog, declared)
        self.sweeper = sweeper_of(self.runtime, declared.values())
        #: Why the service is not ready: each part says it, in this order.
        self.readiness: list[Callable[[], list[str]]] = [self._starting_reasons, partial(reasons_of, self)]
        self.watch = HealthWatch(self.runtime, self._reasons)
        self.clock_watch = ClockWatch(self.runtime, self.circuits, self.timers.look_at_all)
        self.log_check = LogCheck(self.runtime, self.runners, lambda: self._topology().again())
        known = partial(declared_of, self.runtime)
        self.backfills: Backfills = Backfills(self.runtime, self.runners, self.log_check.declare, known)
        self.readiness += [self.projections.reasons, self.backfills.reasons]
        self.reporter.backfills = self.backfills.figures
        self.copies = CopyWatch(self.runtime, self.runners)

    def _outside(self, builder: OutboxBuilder) -> OutsideTransactions:
        most = (self.runtime, self.service.declarations, builder, self.breakers, self.full, self.backlog.add)
        return OutsideTransactions(*most, self.blocking, unknown=self.backlog.fetch_all)

    def _committer(self, recorder: Recorder) -> Committer:
        won, lost, free = self._committed, self._superseded, self.handling.unwritable
        return Committer(self.runtime, recorder, won=won, lost=lost, unknown=self.backlog.fetch_all, free=free)

    def _runners(self, admission: Admission) -> dict[str, SubscriptionRunner]:
        self._pipeline = Pipeline(
            self.runtime, admission, self.handling, self.committer, self.breakers, self.full,
            lambda arrival, rows: self._committed([arrival], rows),
        )  # fmt: skip
        return {queue: self._runner(each) for queue, each in self.service.declarations.subscriptions.items()}

    def _runner(self, subscription: Subscription) -> SubscriptionRunner:
        many = len(self.service.declarations.subscriptions) + 2 * len(self.service.declarations.projections)
        return runner_of(subscription, self._pipeline, self.runtime.config.intake_bytes // max(many, 1))

    async def start(self) -> None:
        """Open the store and start the parts; does not wait for the broker, nor for a store that does not answer.

        `DeclarationError` and `ConfigError` say what is wrong before anything runs.
        """
        self.service.complete()
        self.runtime.tasks.spawn("watch", self.watch.run())
        try:
            late = await self.opening.start(self._begin, self._work)
            self._starting = late or self._starting
        except BaseException:
            await self._close()
            raise

    async def _begin(self) -> None:
        """What needs the store alone, and is begun again where the store fails."""
        await self.clock_watch.begin()
        await self.projections.begin()
        await self.sweeper.begin()
        await self.timers.begin()
        await self.backlog.start()

    async def _work(self) -> None:
        use = await resource.made(self.service, self._uses)
        self.handling.use = self.outside_transactions.use = use
        for reader in self.readers:
            reader.use = use
        await self.runtime.transport.open()
        await name_breakers(self.runtime, self.breakers, self.service.declarations)
        suspect, ask_clock = self.committer.suspect, self.clock_watch.ask_store
        self.runtime.tasks.spawn("lease", hold_lease(self.runtime, self.backlog.fetch_all, suspect, ask_clock))
        self.runtime.tasks.spawn("breakers", keep_fresh(self.runtime, self.breakers, self.wake))
        self.runtime.tasks.spawn("clocks", self.clock_watch.run())
        self.runtime.tasks.spawn("commit", self.committer.run())
        self.runtime.tasks.spawn("sweep", self.sweeper.run())
        self.runtime.tasks.spawn("sample", self.reporter.sample())
        self.webhooks.start()
        self._starting = self.runtime.tasks.spawn("start", self._declare_and_consume(), may_end=True)

    def _breaker_changed(self, name: str, state: str) -> None:
        self.reporter.breaker_changed(name, state)
        self.wake()

    def wake(self) -> None:
        """Let the intakes look again."""
        for runner in self.runners.values():
            runner.intake.wake()

    def _topology(self) -> TopologyDeclaration:
        return TopologyDeclaration(self.runtime, kit() + self.service.declarations.topology())

    async def _declare_and_consume(self) -> None:
        await self.backfills.prepare()
        await self._topology().start()
        self.relay.start()
        if self.timers.mine:
            self.runtime.tasks.spawn("timers", self.timers.run())
        for runner in self.runners.values():
            await until_linked(self.runtime, partial(self.backfills.start, runner))
        await self.projections.start(self.backfills)
        self.runtime.tasks.spawn("unordered", leave_order(self.runtime, self.runners, self.backlog.add), may_end=True)
        for reader in self.readers:
            self.runtime.tasks.spawn(f"read {reader.source}", reader.run(), may_end=True)
        await start_checks(self.log_check, self.runners, self.runtime, self.readiness)
        self._started = True
        self.runtime.tasks.spawn("copies", self.copies.run(), may_end=True)
        self.runtime.tasks.spawn("report", self.reporter.run())
        own = self.service.declarations
        self.runtime.tasks.spawn("removed", RemovedQueues(self.runtime, own.queues, own.projection_names).run())

    async def stop(self, seconds: float | None = None) -> None:
        """Finish or give back the deliveries in progress, publish what is due, close; each step has a time limit.

        Handlers have `seconds` to finish (None: `HOCKET_STOP_SECONDS`).
        """
        config = self.runtime.config
        seconds = config.stop_seconds if seconds is None else seconds
        try:
            if self._starting is not None:
                self.runtime.tasks.cancel([self._starting])  # nothing starts any more
                await asyncio.wait([self._starting], timeout=END_SECONDS)
            await asyncio.gather(*(runner.stop(seconds) for runner in self.runners.values()))
            for reader in self.readers:
                if reader.consumer is not None:
                    await reader.consumer.cancel()
            self.reporter.tell_drift()
            if self.runtime.transport.link().ready and not self.runtime.tasks.failed:
                await self.relay.drained(config.drain_seconds)
            for consumer in self._consumers():
                await consumer.close()
        finally:
            await self._close()

    async def _close(self) -> None:
        self.runtime.pauses.stop()
        await self.runtime.tasks.stop()
        self.blocking.close()  # last: while tasks run, a refused call would look like a fault of who calls
        await self.runtime.transport.close()
        await resource.close(self._uses, self.runtime)
        await self.runtime.store.close()

    async def kill(self) -> None:
        """End as a killed process would: tasks are cancelled, nothing more is committed, nothing is settled.

        The caller closes the transport and abandons the store.
        """
        self.runtime.pauses.stop()
        await self.runtime.tasks.stop()
        self.blocking.close()
        await resource.close(self._uses, self.runtime)

    @property
    def boot(self) -> str:
        """The id of this start."""
        return self.runtime.instance.boot

    @property
    def live(self) -> bool:
        """Whether no background task has failed."""
        return not self.runtime.tasks.failed

    def health(self) -> list[str]:
        """Why the service is not ready, one sentence a reason; an empty list means that it is ready."""
        link = self.runtime.transport.link()
        lost = [] if link.ready or self.opening.reason else [link.reason or "the broker is not connected yet"]
        return [*lost, *self._reasons()]

    def _reasons(self) -> list[str]:
        """Why the service is not ready, apart from its link to the broker."""
        if self.opening.reason:
            return [*[each for each in (self.runtime.tasks.failed,) if each], self.opening.reason]
        return [reason for part in self.readiness for reason in part()]

    def _starting_reasons(self) -> list[str]:
        reasons = [self.runtime.tasks.failed] if self.runtime.tasks.failed else []
        if not self._started and self.runtime.transport.link().ready:
            reasons.append("the topology is being declared")
        return reasons

    def idle(self) -> bool:
        """Whether no delivery is in progress and nothing that is due waits."""
        runners = self.backfills.idle and all(each.idle() for each in self.runners.values())
        readers = all(reader.idle for reader in self.readers)
        return self._started and runners and readers and self.committer.idle and self.timers.idle and self.relay.idle

    def parked(self) -> list[str]:
        """The queues whose deliveries wait only for an open breaker."""
        return [queue for queue, runner in self.runners.items() if runner.parked()]

    def full(self) -> bool:
        """Whether the outbox is at its bound of due events."""
        return self.backlog.full

    def outside(
        self, key: str | None, correlation_id: str | None, connection: AsyncConnection | None = None
    ) -> AbstractAsyncContextManager[Any]:
        """A transaction outside a handler; with a `connection` it joins the application's transaction."""
        self.opening.check()
        if connection is not None:
            return self.outside_transactions.joined(key, correlation_id, connection, self.backlog.claim_now)
        return self.outside_transactions.transaction(key, correlation_id)

    def reading(self, *asked: Any) -> AbstractAsyncContextManager[Any]:
        """One snapshot of a projection, for `service.reading`."""
        self.opening.check()
        return self.projections.reading(*asked)

    async def send(self, subscription: str, body: bytes, content_type: str, **about: Any) -> None:
        """Publish to one subscription and wait for the confirm, as `streams.replay.send` says."""
        await replay.send(self.runtime.transport, self.service.name, subscription, body, content_type, **about)

    def _committed(self, arrivals: Sequence[Arrival], rows: Sequence[OutboxRow]) -> None:
        self.backlog.add(rows)
        if not arrivals:
            return
        if any(isinstance(each.outcome, Seen) or each.timer is not None for each in arrivals):
            self.timers.look_at_all()
        settle(arrivals)
        by_queue: dict[str, list[Arrival]] = {}
        for each in arrivals:
            self.handling.written(each)
            by_queue.setdefault(each.subscription.queue, []).append(each)
        for queue, some in by_queue.items():
            self.runners[queue].settled(some, rows)
        self.log_check.settled(arrivals)
        self.backfills.settled(arrivals)
        self.runtime.signals.attempts([ended for each in arrivals if (ended := ended_of(each)) is not None])

    def _superseded(self, arrival: Arrival) -> None:
        self.handling.undecided(arrival)
        self.runners[arrival.subscription.queue].readmit(arrival)

    def _shed(self) -> bool:
        self.reporter.shed += self.backlog.receipts_full
        return self.backlog.receipts_full

    def _consumers(self) -> list[Any]:
        mine = [each for runner in self.runners.values() for each in runner.consumers()]
        return [*mine, *(each.consumer for each in self.readers if each.consumer is not None)]
