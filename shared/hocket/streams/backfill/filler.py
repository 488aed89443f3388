"""Fills one subscription: holds its row, reads, goes over to the queue, and patrols the log afterwards (RULES 7.5)."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from hocket.broker.port import Consumer, Delivery
from hocket.broker.topology import LOG
from hocket.delivery.arrival import Arrival
from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import HocketError, StoreError, TransportError
from hocket.outcome import Bury
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.streams.backfill.history_consumer import HistoryConsumer
from hocket.streams.backfill.progress import Progress
from hocket.streams.backfill.reading import Overtaken, Reading
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import ANYWHERE, Backfill, Phase, begun_again
from hocket.streams.first import first_of
from hocket.streams.gap import mark_of
from hocket.streams.log_check import LogCheck

#: Seconds between two looks at a row that another process holds, or that waits for a person.
LOOK_SECONDS = 1.0
#: Waits after an error of the store or the broker.
FILL_BACKOFF = Backoff(first=0.5, longest=10.0)


@dataclass(slots=True)
class Filler:
    """One subscription that hears history. `on_live` is called once its queue is consumed here."""

    runtime: Runtime
    runner: SubscriptionRunner
    rows: BackfillRows
    live_waits: Callable[[], bool]
    declare: Callable[[], Awaitable[None]]
    on_live: Callable[[], Awaitable[None]] | None = None
    row: Backfill | None = None
    trouble: str = ""
    progress: Progress = field(init=False)
    bound: float = field(init=False)  # when its queue was bound here, in monotonic seconds
    _history: HistoryConsumer = field(init=False)
    _reading: Reading | None = None

    def __post_init__(self) -> None:
        subscription = self.runner.subscription
        self.progress = Progress(self.runtime, subscription.queue)
        self._history = HistoryConsumer(f"{subscription.queue}@log")
        self.bound = self.runtime.clock.monotonic()

    @property
    def name(self) -> str:
        """Under which its row stands."""
        return self.runner.subscription.identity

    @property
    def live(self) -> bool:
        """Whether its queue is consumed here."""
        return self.runner.consumer is not None

    @property
    def idle(self) -> bool:
        """Whether nothing is being read, or a person is waited for."""
        return self.live or (self.row is not None and self.row.phase in {Phase.PAUSED, Phase.FAILED, Phase.DROPPED})

    def reason(self) -> str:
        """Why the subscription is not ready; "" while it is."""
        if self.live or self.row is None or self.row.phase is Phase.DROPPED:
            return ""
        queue, row = self.runner.subscription.queue, self.row
        if row.phase is Phase.FAILED:
            way = f"`hocket backfill {self.name} --accept-gap` reads on with what is there"
        elif row.phase is Phase.PAUSED:
            way = f"mend the handler, then `hocket backfill {self.name} --go-on`"
        else:
            figures = self.progress.figures
            end = f" of {figures.end}" if figures.end else ""
            soon = "; retention comes near" if self.progress.hurry else ""
            trouble = self.trouble or self.progress.trouble
            also = f"; {trouble}" if trouble else ""
            return f"{queue} reads history, at {row.next}{end} of the log{soon}{also}"
        return f"{queue} hears nothing, what is new waits in its queue: {row.reason}; {way}"

    def settled(self, arrivals: Sequence[Arrival]) -> None:
        """Count the letters of history."""
        if self._reading is not None:
            self._reading.letters += sum(each.history and type(each.outcome) is Bury for each in arrivals)

    async def open(self) -> None:
        """Take what is tried again of its history, and be ready to take history itself; begins the runner's tasks.

        What is tried again of an ordered one waits in its own queue for the cut-over.
        """
        self.runner.past[self._history.queue] = self._history
        if not self.runner.subscription.ordered:
            await self._consume_retries()
        self.runner.begin()

    async def _consume_retries(self) -> None:
        queue, early = self.runner.subscription.history_queue, list[Delivery]()

        def deliver(delivery: Delivery) -> None:
            if queue in self.runner.past:
                self.runner.intake.deliver(delivery)
            else:
                early.append(delivery)

        consume = self.runtime.transport.consume
        consumer: Consumer = await consume(queue, prefetch=self.runner.prefetch, deliver=deliver)
        self.runner.past[queue] = consumer
        for each in early:
            deliver(each)

    async def run(self) -> None:
        """Fill until its queue is consumed and the patrol is over, or it is dropped."""

        def failed(error: HocketError) -> None:
            if str(error) != self.trouble:
                self.trouble = str(error)
                about = {"subscription": self.runner.subscription.queue, "reason": str(error)}
                self.runtime.trouble("history could not be read", **about)

        fails = (StoreError, TransportError)
        while await until_done(self._step, FILL_BACKOFF, self.runtime.chance, on=fails, failed=failed):
            self.trouble = ""

    async def _step(self) -> bool:
        """Do what the row says; False: nothing is left to do."""
        self.row = row = await self.rows.of(self.name)
        if row is None or row.phase is Phase.DROPPED:
            return False
        if row.phase is Phase.LIVE:
            return await self._live(row)
        if row.phase is not Phase.READING:
            self.progress.figures = self.progress.figures._replace(phase=row.phase.value, next=row.next)
        elif (taken := await self._taken(row)) is not None:
            await self._read(taken, resumed=bool(row.holder))
            return True
        await asyncio.sleep(LOOK_SECONDS)
        return True

    async def _taken(self, row: Backfill) -> Backfill | None:
        """The row as it is held by this process; None: another one holds it, or has just taken it."""
        boot, store = self.runtime.instance.boot, self.runtime.store
        if row.holder == boot:
            return row
        if row.holder and store.replicas and row.holder in await store.breakers.living():
            return None
        mine = row._replace(holder=boot)
        if row.start == ANYWHERE:
            await self.runtime.transport.until_ready()
            first = await first_of(self.runtime.transport, LOG)
            mine = begun_again(mine, *((first.offset or 0, mark_of(first)) if first is not None else (0, "")))
        return mine if await self.rows.write(row, mine) else None

    async def _read(self, row: Backfill, *, resumed: bool) -> None:
        await self.runtime.transport.until_ready()
        self.row = row
        self._reading = reading = Reading(
            self.runtime, self.runner, self.rows, self._history, self.progress, self.bound, self.live_waits,
            self._patrol_name, row, resumed,
        )  # fmt: skip
        try:
            await reading.run(self._moved)
        except Overtaken:
            return
        finally:
            self._reading = None

    def _moved(self, row: Backfill) -> None:
        self.row = row

    @property
    def _patrol_name(self) -> str:
        return f"{self.runtime.service}.patrol.{self.name}"

    async def _live(self, row: Backfill) -> bool:
        """Consume the queue; then the process that read compares the log for a while (RULES 7.5 e)."""
        if not self.live:
            await self.runtime.transport.until_ready()
            await self.runner.consume()
            if self.on_live is not None:
                await self.on_live()
        left = row.patrol - (await self.runtime.store.clock.time()).now
        left = min(left, self.runtime.config.backfill_patrol_seconds)
        if left <= 0:
            return False
        if (taken := await self._taken(row)) is None:
            await asyncio.sleep(min(LOOK_SECONDS, left))
            return True
        self.row = taken
        runners = {self.runner.subscription.queue: self.runner}
        check = LogCheck(self.runtime, runners, self.declare, patrol=self._patrol_name)
        try:
            async with asyncio.timeout(left):
                await check.prepare()
                await check.run()
        except TimeoutError:
            return False
        return True
