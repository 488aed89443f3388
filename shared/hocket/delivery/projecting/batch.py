"""Folds deliveries of a generation in batches: one transaction for many, each with its own end (RULES 14.1).

What fails goes the ordinary way, one delivery a transaction, where it is a failed attempt as any other. So a batch has
only what is handled, and what it wrote stands or falls with all of it.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field

from hocket.declarations.projections.projection import BATCH_EVENTS
from hocket.declarations.subscription import Subscription
from hocket.delivery.arrival import Arrival
from hocket.delivery.commit import Committer
from hocket.delivery.handle import Handling
from hocket.delivery.ordering.turns import following
from hocket.delivery.projecting.guard import DROPPED_SECONDS, GenerationDropped, hold
from hocket.delivery.record import Recorder
from hocket.errors import StoreError, TransactionLost
from hocket.outcome import Done
from hocket.runtime import Runtime
from hocket.store.port import WriteTransaction
from hocket.store.records import Ending, OutboxRow
from hocket.store.unit_of_work import UnitOfWork

#: Seconds after which a batch takes no further delivery and commits: nobody else writes meanwhile on SQLite.
BATCH_SECONDS = 0.05
#: Deliveries of one generation that go the ordinary way at once.
ALONE_AT_ONCE = 8
#: Batches with a savepoint for each delivery after one has failed.
CAREFUL_BATCHES = 8


class _Failed(Exception):
    """One delivery of a batch cannot be folded there: the others are folded without it."""

    def __init__(self, arrivals: Sequence[Arrival], *, lost: bool = False) -> None:
        super().__init__()
        self.arrivals, self.lost = arrivals, lost


@dataclass(slots=True)
class BatchLane:
    """Folds what `submit` gives it, in that order. `alone` takes what goes the ordinary way, `back` what is given back.

    `readmit` has a delivery looked up again. In an ordered subscription what follows it in its subject leaves the lane
    with it, and goes to `later`, in order. What `is_stale` is delivered again, and does not begin.
    """

    subscription: Subscription
    runtime: Runtime
    handling: Handling
    committer: Committer
    alone: Callable[[Arrival], None]
    back: Callable[[list[Arrival]], None]
    readmit: Callable[[Arrival], None]
    later: Callable[[Arrival], None]
    is_stale: Callable[[Arrival], bool]
    latest: float = 0.0  # when the last event that it folded was said
    folded: int = 0
    paused_until: float = 0.0  # monotonic seconds: a swap lets the newer generation catch up
    _waiting: "deque[Arrival]" = field(default_factory=deque)
    _some: asyncio.Event = field(default_factory=asyncio.Event)
    _careful: int = 0

    def takes(self, arrival: Arrival) -> bool:
        """Whether it is folded in a batch: one that nobody has begun before, while the subscription is not paused."""
        pause = self.handling.pause_of(self.subscription)
        calm = pause.fault is None and pause.circuit.state == "closed"
        return calm and arrival.row is None and not arrival.replay and not arrival.delivery.redelivered

    def submit(self, arrival: Arrival) -> None:
        """Fold it with the next batch."""
        self._waiting.append(arrival)
        self._some.set()

    def drop(self) -> list[Arrival]:
        """Take out of hand what has not begun."""
        dropped = list(self._waiting)
        self._waiting.clear()
        return dropped

    async def run(self) -> None:
        """Fold batch after batch, for ever; what it has in hand at the end is given back."""
        batch: list[Arrival] = []
        try:
            while True:
                await self._some.wait()
                self._some.clear()
                while self._waiting:
                    await self._until_resumed()
                    batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH_EVENTS))]
                    while batch := self._fresh(batch):
                        batch = await self._attempt(batch)
        except BaseException:
            self.back([*batch, *self._waiting])
            self._waiting.clear()
            raise

    def _fresh(self, batch: list[Arrival]) -> list[Arrival]:
        stale = [each for each in batch if self.is_stale(each)]
        if stale:
            self.back(stale)
        return [each for each in batch if each not in stale]

    async def _until_resumed(self) -> None:
        if (wait := self.paused_until - self.runtime.clock.monotonic()) > 0:
            await asyncio.sleep(wait)

    async def _attempt(self, batch: list[Arrival]) -> list[Arrival]:
        """Fold a batch; what is left of it, for the next transaction."""
        careful, self._careful = self._careful > 0, max(self._careful - 1, 0)
        try:
            tried, failed, rows = await self._fold(batch, careful=careful)
        except _Failed as failure:
            self._careful = self._careful or CAREFUL_BATCHES
            left = [each for each in batch if each not in failure.arrivals]
            return self._leave(failure.arrivals, self.readmit if failure.lost else self.alone, left)
        except GenerationDropped:
            await asyncio.sleep(DROPPED_SECONDS)
            self._each(batch, self.readmit)
        except StoreError as error:
            if isinstance(error, TransactionLost):
                self._each(batch, self.alone)
            else:
                self.committer.suspect(str(error))
                self._each(batch, self.readmit)
        except Exception:  # noqa: BLE001 -- whose fault it is is found out where each has a transaction of its own
            self._each(batch, self.alone)
        else:
            done = [each for each in tried if each not in failed]
            self.folded += len(done)
            if done:
                self.latest = max(each.known.time.timestamp() for each in done)
            self.committer.won(done, rows)
            return self._leave(failed, self.alone, [each for each in batch if each not in tried])
        return []

    def _each(self, arrivals: Sequence[Arrival], then: Callable[[Arrival], None]) -> None:
        self._leave(arrivals, then, [])

    def _leave(
        self, arrivals: Sequence[Arrival], then: Callable[[Arrival], None], left: Sequence[Arrival]
    ) -> list[Arrival]:
        """These leave the lane, and what follows them in their subjects; what of `left` stays in hand."""
        behind = following(arrivals, [*left, *self._waiting])
        if behind:
            self._waiting = deque(each for each in self._waiting if each not in behind)
        for each in arrivals:
            each.outcome = None
            then(each)
        for each in behind:  # behind those that they wait for
            each.outcome = None
            self.later(each)
        return [each for each in left if each not in behind]

    async def _fold(
        self, batch: Sequence[Arrival], *, careful: bool
    ) -> tuple[list[Arrival], list[Arrival], list[OutboxRow]]:
        """One transaction: what of the batch it has tried, what of that failed, and the outbox rows it left."""
        began = self.runtime.clock.monotonic()
        failed: list[Arrival] = []
        tried: list[Arrival] = []
        async with self.runtime.store.transaction() as tx:
            for arrival in batch:
                if following(failed, [arrival]):
                    continue
                tried.append(arrival)
                if not await self._one(tx, arrival, careful=careful):
                    failed.append(arrival)
                if self.runtime.clock.monotonic() - began >= BATCH_SECONDS:
                    break
            done = [each for each in tried if each not in failed]
            if not done:
                return tried, failed, []
            projected = self.subscription.projected
            assert projected is not None
            await hold(await tx.db(), projected, [each.key for each in done])
            written = await tx.write([self._ending(self.handling.recorder, each) for each in done])
            if lost := [each for each, one in zip(done, written, strict=True) if not one.won]:
                raise _Failed(lost, lost=True)
        return tried, failed, [row for one in written for row in one.outbox]

    async def _one(self, tx: WriteTransaction, arrival: Arrival, *, careful: bool) -> bool:
        """Run one handler; False where it failed and left nothing. Without a savepoint its failure ends the batch."""
        point: AbstractAsyncContextManager[object] = nullcontext()
        if careful:
            point = (await tx.db()).begin_nested()
        try:
            async with point:
                await self.handling.fold(arrival, UnitOfWork.within(tx))
        except StoreError:
            raise
        except BaseException as error:  # the team's code may raise SystemExit, or cancel itself
            if self.runtime.tasks.cancelling():
                raise
            if not careful:
                raise _Failed([arrival]) from error
            return False
        if not isinstance(arrival.outcome, Done):
            if not careful:
                raise _Failed([arrival])
            return False
        return True

    def _ending(self, recorder: Recorder, arrival: Arrival) -> Ending:
        ending, _ = recorder.ending(arrival, None)
        return ending._replace(receipt=b"") if ending.receipt and recorder.shed() else ending
