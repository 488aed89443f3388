"""All backfills of one service: notes them before the queues are bound, runs them, and tells how they stand."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from hocket.broker.topology import Topology, history_of, kit, of_service, routing_key
from hocket.declarations.subscription import Subscription
from hocket.delivery.arrival import Arrival
from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import HocketError, StoreError, TransportError
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.streams.backfill.filler import Filler
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.start import begun
from hocket.streams.backfill.state import Backfill, Phase
from hocket.telemetry.signals import BackfillSample

#: Waits between two tries to note what is new at the start.
NOTE_BACKOFF = Backoff(first=0.5, longest=10.0)
#: Phases in which a queue is not consumed.
OPEN = frozenset({Phase.READING, Phase.PAUSED, Phase.FAILED})


@dataclass(slots=True)
class Backfills:
    """The backfills of one service. `known` are the queues that it declared earlier: they live, and ignore `since`."""

    runtime: Runtime
    runners: Mapping[str, SubscriptionRunner]
    declare: Callable[[], Awaitable[None]]
    known: Callable[[], Awaitable[set[str]]]
    rows: BackfillRows = field(init=False)
    fillers: dict[str, Filler] = field(default_factory=dict)  # by queue

    def __post_init__(self) -> None:
        self.rows = BackfillRows(self.runtime.store)

    async def prepare(self) -> None:
        """Note what is new, before its queue is bound (RULES 7.5 a); waits for store and broker."""

        def failed(error: HocketError) -> None:
            self.runtime.trouble("history could not be prepared", reason=str(error))

        on = (StoreError, TransportError)
        await until_done(self._prepare, NOTE_BACKOFF, self.runtime.chance, on=on, failed=failed)

    async def _prepare(self) -> None:
        rows = await self.rows.all()
        for runner in self.runners.values():
            subscription = runner.subscription
            row = rows.get(subscription.identity)
            if row is not None and row.phase in OPEN and subscription.since is None:
                subscription.since = "first"  # what was begun is ended, and its queues are declared
            if subscription.since is not None and (row is not None or await self._is_new(subscription)):
                await self._note(runner, row)

    async def _is_new(self, subscription: Subscription) -> bool:
        names = {subscription.queue, *subscription.former_queues}
        lives = bool(names & await self.known())
        if not lives:
            await self.runtime.transport.until_ready()
            for name in sorted(names):
                depth = await self.runtime.transport.depth(name)
                lives = lives or (depth is not None and bool(depth.messages or depth.consumers))
        if lives:
            self.runtime.trouble(
                "since= is ignored: the subscription lives already, and has heard what there was since its binding",
                subscription=subscription.queue,
            )
        return not lives

    async def _note(self, runner: SubscriptionRunner, row: Backfill | None) -> None:
        subscription = runner.subscription
        if row is None:
            assert subscription.since is not None
            await self.runtime.transport.until_ready()
            await self.runtime.transport.declare(kit())  # the log may not be there yet
            await self.rows.note(await begun(self.runtime, subscription.identity, subscription.since))
        self._filler(runner, None)

    def _filler(self, runner: SubscriptionRunner, on_live: Callable[[], Awaitable[None]] | None) -> Filler:
        made = Filler(self.runtime, runner, self.rows, lambda: self._live_waits(runner), self.declare, on_live)
        self.fillers[runner.subscription.queue] = made
        return made

    async def start(self, runner: SubscriptionRunner) -> None:
        """Start a runner once its queue is bound: it consumes, or hears its history first."""
        filler = self.fillers.get(runner.subscription.queue)
        if filler is None:
            await runner.start()
            return
        filler.bound = self.runtime.clock.monotonic()
        await filler.open()
        self.runtime.tasks.spawn(f"fill {runner.subscription.queue}", filler.run(), may_end=True)

    async def begin(self, runner: SubscriptionRunner, on_live: Callable[[], Awaitable[None]] | None = None) -> Filler:
        """Begin, or go on with, the backfill of a subscription that was made at run time and has `since`.

        Its queue is declared here, once; whoever makes it keeps it declared. `on_live` is called in each process when
        the queue is consumed there, also at once where it lives already. Raises `StoreError` or `TransportError`.
        """
        subscription = runner.subscription
        assert subscription.since is not None, f"{subscription.queue} hears no history"
        if await self.rows.of(subscription.identity) is None:
            await self.rows.note(await begun(self.runtime, subscription.identity, subscription.since))
        await self.runtime.transport.declare(topology_of(subscription))
        self._filler(runner, on_live)
        await self.start(runner)
        return self.fillers[subscription.queue]

    async def abandon(self, subscription: Subscription) -> None:
        """Give a backfill up, in every process: nothing more is read, and its queue is not consumed. `StoreError`."""
        while (row := await self.rows.of(subscription.identity)) is not None:
            if await self.rows.write(row, row._replace(phase=Phase.DROPPED, holder="")):
                return

    def settled(self, arrivals: Sequence[Arrival]) -> None:
        """The endings of these are written."""
        if not self.fillers:
            return
        by_queue: dict[str, list[Arrival]] = {}
        for each in arrivals:
            if each.history:
                by_queue.setdefault(each.subscription.queue, []).append(each)
        for queue, some in by_queue.items():
            if queue in self.fillers:
                self.fillers[queue].settled(some)

    def reasons(self) -> list[str]:
        """Why subscriptions are not ready, one sentence each; generations of projections are judged elsewhere."""
        own = [each for each in self.fillers.values() if each.runner.subscription.projected is None]
        return [reason for each in own if (reason := each.reason())]

    def figures(self) -> dict[str, BackfillSample]:
        """How the backfills that this process reads go on, by queue."""
        return {queue: each.progress.figures for queue, each in self.fillers.items() if each.progress.figures.phase}

    def known_of(self) -> dict[str, BackfillSample]:
        """The same by the name under which their rows stand."""
        return {each.name: each.progress.figures for each in self.fillers.values() if each.progress.figures.phase}

    @property
    def idle(self) -> bool:
        """Whether nothing is being read."""
        return all(each.idle for each in self.fillers.values())

    def _live_waits(self, but: SubscriptionRunner) -> bool:
        """Whether others that live have deliveries in hand, and not only wait for an open breaker.

        One that reads history itself gives way, and is nobody to give way to.
        """
        others = (each for each in self.runners.values() if each is not but and each.consumer is not None)
        return any(each.in_progress or (len(each.intake) and not each.parked()) for each in others)


def topology_of(subscription: Subscription) -> Topology:
    """The objects on the broker of one subscription that hears history."""
    keys = [routing_key(*name) for name in subscription.bound]
    queue, service = subscription.queue, subscription.service
    ordered = frozenset({queue} if subscription.ordered else ())
    own = of_service(service, [(queue, keys)], [(queue, former) for former in subscription.former_queues], ordered)
    return own + history_of(service, [queue], ordered)
