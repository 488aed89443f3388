"""`Projections`: the generations of one service's projections in this process, from their begin to their end."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from sqlalchemy.exc import IntegrityError

from hocket.declarations.choreography import Declarations
from hocket.declarations.projections.projection import generation_of
from hocket.declarations.subscription import Subscription
from hocket.delivery.ending.error_text import text_of
from hocket.delivery.handle import Handling
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.batch import BatchLane
from hocket.delivery.projecting.generations import Generation, GenerationState, building, declared, read_by, serving
from hocket.delivery.runner import SubscriptionRunner
from hocket.envelope.keys import GENERATION_MARK
from hocket.errors import HocketError, StoreError, TransportError
from hocket.masking.mask import ALWAYS
from hocket.runtime import Runtime
from hocket.streams.backfill.backfills import Backfills, topology_of
from hocket.tx import View
from hocket.worker.projections import making
from hocket.worker.projections.history import look_at_timeline
from hocket.worker.projections.lag import LagWatch
from hocket.worker.projections.reading import reading
from hocket.worker.projections.removal import drop_old, remove_dropped
from hocket.worker.projections.swap import Swap
from hocket.worker.projections.watching import Watches
from hocket.worker.topology import until_linked

#: Seconds between two looks at the generations.
LOOK_SECONDS = 1.0
#: How long a rest is after a comparison that found something missing, as a multiple of how long it took.
REST_SHARE = 5.0
#: Seconds before it is looked again whether a generation that was refused can be filled.
REFUSED_SECONDS = 30.0
#: Seconds between two looks at the timeline of the database.
TIMELINE_SECONDS = 60.0
#: Tries to begin a generation while another process begins one too.
BEGIN_TRIES = 5
#: Seconds in which the handlers of a dropped generation may end.
STOP_SECONDS = 5.0


@dataclass(slots=True)
class Projections:
    """Keeps the generations that this process has the code of. `made` makes the runner of one of them."""

    runtime: Runtime
    declarations: Declarations
    runners: dict[str, SubscriptionRunner]
    made: Callable[[Subscription], SubscriptionRunner]
    handling: Handling
    found: dict[str, list[Generation]] = field(default_factory=dict)  # as they were when it looked last, by projection
    backfills: Backfills | None = None
    live: set[str] = field(default_factory=set)  # queues of those that have heard their history here
    _lags: dict[str, LagWatch] = field(default_factory=dict)  # by queue
    _timeline_due: float = 0.0
    _rests: dict[str, float] = field(default_factory=dict)  # until when no swap is tried, by queue
    _running: dict[str, Subscription] = field(default_factory=dict)  # by queue
    _watches: Watches = field(init=False)

    def __post_init__(self) -> None:
        self._watches = Watches(self.runtime)

    @property
    def _declared(self) -> Mapping[tuple[str, int], Subscription]:
        return self.declarations.projections

    async def begin(self) -> None:
        """Begin a generation of what is declared and has none. Raises `StoreError`."""
        for (name, _), template in sorted(self._declared.items()):
            for left in reversed(range(BEGIN_TRIES)):
                try:
                    await self._begin(name, template)
                    break
                except IntegrityError:  # another process was first: its row is there now
                    if not left:
                        raise
        await self._look()

    async def _begin(self, name: str, template: Subscription) -> None:
        projected = template.projected
        assert projected is not None
        hears = tuple(making.types_of(template))
        made = Generation(name, 0, projected.version, GenerationState.BUILDING, hears=hears)
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            before = await rows.rows_of(db, name, lock=True)
            await rows.write(db, before, declared(before, made), await self._now())

    async def _now(self) -> float:
        return (await self.runtime.store.clock.time()).now

    async def _look(self) -> None:
        async with self.runtime.store.read() as connection:
            self.found = await rows.all_rows(connection)

    async def start(self, backfills: Backfills) -> None:
        """Let every generation hear that lives and whose code is here, and look after them from now on."""
        self.backfills = backfills
        if not self._declared:
            return
        self.runtime.transport.on_ready(self._declare)
        await self._reconcile()
        self.runtime.tasks.spawn("projections", self._keep())

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self._look()
                await self._reconcile()
                await self._watch_lag()
                await self._watch_timeline()
                self._try_swaps()
                await self._watches.look(self.found)
                await self._tidy()  # last: tables that somebody reads cannot be removed yet
            except (StoreError, TransportError) as error:
                self.runtime.trouble("the generations of projections cannot be looked after", error=str(error))

    async def _tidy(self) -> None:
        for name, every in self.found.items():
            for one in (await drop_old(self.runtime, every), await remove_dropped(self.runtime, every)):
                for each in one:
                    self.runtime.signals.generation(self.runtime.service, name, each.n, str(each.state))

    async def _watch_timeline(self) -> None:
        now = self.runtime.clock.monotonic()
        if now >= self._timeline_due:
            self._timeline_due = now + TIMELINE_SECONDS
            await look_at_timeline(self.runtime)

    async def _watch_lag(self) -> None:
        for queue, watch in list(self._lags.items()):
            await watch.look(queue in self.live)

    @property
    def behind(self) -> dict[str, float]:
        """Seconds by which the generations that run here are behind, by queue."""
        return {queue: watch.behind for queue, watch in self._lags.items()}

    def _try_swaps(self) -> None:
        """Compare what is being built and has heard its history; one try at a time, and after it a rest."""
        now = self.runtime.clock.monotonic()
        for queue, subscription in self._running.items():
            new = building(self.found.get(subscription.name.partition(GENERATION_MARK)[0], ()))
            due = queue in self.live and now >= self._rests.get(queue, 0.0)
            if new is not None and subscription.projected is not None and subscription.projected.n == new.n and due:
                self._rests[queue] = float("inf")
                self.runtime.tasks.spawn(f"swap {queue}", self._try_swap(queue, subscription), may_end=True)

    async def _try_swap(self, queue: str, subscription: Subscription) -> None:
        began, rest = self.runtime.clock.monotonic(), LOOK_SECONDS
        try:
            swap = Swap(self.runtime, subscription, self._lane_of)
            if await swap.attempt():
                await self._look()
            else:
                rest = max(LOOK_SECONDS, REST_SHARE * (self.runtime.clock.monotonic() - began))
        except (StoreError, TransportError) as error:
            self.runtime.trouble("a generation of a projection could not be swapped in", error=str(error))
        self._rests[queue] = self.runtime.clock.monotonic() + rest

    def _lane_of(self, identity: str) -> BatchLane | None:
        found = (self.runners[queue] for queue, each in self._running.items() if each.identity == identity)
        return next((each.batches for each in found), None)

    async def _reconcile(self) -> None:
        """Begin what lives and does not run here, end what runs and lives no more."""
        wanted = {each.queue: each for each in self._wanted()}
        for queue in [each for each in self._running if each not in wanted]:
            await self._end(queue)
        for queue, subscription in wanted.items():
            now = self.runtime.clock.monotonic()
            if queue in self._running or now < self._rests.get(queue, 0.0):
                continue
            if await self._made(subscription):
                await self._run(subscription)
            else:
                self._rests[queue] = now + REFUSED_SECONDS

    async def _made(self, subscription: Subscription) -> bool:
        try:
            return await making.make(self.runtime, subscription, self.handling)
        except (StoreError, TransportError):
            raise
        except BaseException as error:
            if self.runtime.tasks.cancelling():
                raise
            why = f"its tables could not be made: {text_of(error, ALWAYS)}"
            self.runtime.trouble("a generation of a projection could not be made", subscription=subscription.queue,
                                 error=why)  # fmt: skip
            return False

    def _wanted(self) -> list[Subscription]:
        return [
            generation_of(self._declared[name, each.version], each.n)
            for name, every in self.found.items()
            for each in every
            if each.live and (name, each.version) in self._declared
        ]

    async def _run(self, subscription: Subscription) -> None:
        assert self.backfills is not None
        queue = subscription.queue

        async def live() -> None:
            self.live.add(queue)

        runner = self.made(subscription)
        self.runners[queue], self._running[queue] = runner, subscription
        self._lags[queue] = LagWatch(self.runtime, runner)
        await until_linked(self.runtime, partial(self._begin_filling, runner, live))

    async def _begin_filling(self, runner: SubscriptionRunner, live: Callable[[], Awaitable[None]]) -> None:
        assert self.backfills is not None
        await self.backfills.begin(runner, live)

    async def _end(self, queue: str) -> None:
        subscription = self._running.pop(queue)
        self.live.discard(queue)
        del self._lags[queue]
        assert self.backfills is not None
        await self.backfills.abandon(subscription)
        runner = self.runners[queue]
        await runner.stop(STOP_SECONDS)
        for consumer in runner.consumers():
            await consumer.close()
        self.backfills.fillers.pop(queue, None)
        del self.runners[queue]

    async def _declare(self) -> None:
        """Declare what the generations need, after a reconnect."""
        try:
            for subscription in list(self._running.values()):
                await self.runtime.transport.declare(topology_of(subscription))
        except HocketError as error:
            self.runtime.trouble("the topology could not be declared again", error=str(error))

    @property
    def generations(self) -> Sequence[Subscription]:
        """The generations that run here."""
        return tuple(self._running.values())

    def reasons(self) -> list[str]:
        """Why the service is not ready: a version whose code is here does not serve yet (RULES 14.3)."""
        reasons: list[str] = []
        for name in dict.fromkeys(name for name, _ in self._declared):
            newest = max(version for other, version in self._declared if other == name)
            now, next_ = serving(self.found.get(name, ())), building(self.found.get(name, ()))
            where = f"{self.runtime.service}.{name}"
            if now is None or not now.made:
                reasons.append(f"projection {where} has no generation yet")
            elif now.version > newest and read_by(self.found[name], newest) is None:
                reasons.append(
                    f"version {now.version} of projection {where} serves, and this process has the code of version "
                    f"{newest}, whose tables are gone: end it, and start one with the newest code"
                )
            elif now.version < newest and (name, now.version) not in self._declared and next_ is not None:
                why = f": {next_.note}" if next_.note else ""
                reasons.append(
                    f"version {newest} of projection {where} is being built (generation {next_.n}{why}); until then "
                    f"version {now.version} serves"
                )
        return reasons

    def reading(
        self, template: Subscription, after: str | None, within: timedelta
    ) -> AbstractAsyncContextManager[View]:
        """One snapshot of a projection, for `service.reading`."""
        return reading(self.runtime, template, after, within)
