"""The right to work on an ordered subscription: a channel that gathers, and its token (RULES 9.1, 9.2).

A lane is shut until it has both; whoever finds another token in the store shuts it, and opens a new channel.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import TypeVar

from hocket.broker.port import Consumer, Delivery
from hocket.delivery.ordering.gather import SILENCE_SECONDS, Gather, in_order
from hocket.errors import StoreError, TransportError
from hocket.resilience.retrying import until_done
from hocket.runtime import Runtime
from hocket.store.group_commit import STORE_BACKOFF
from hocket.store.ordering.tokens import lined_subjects, take, token_of

T = TypeVar("T")

#: Seconds without a delivery, while the queue has some, after which a consumer counts as wedged (RULES 9.11).
WEDGED_SECONDS = 60.0
#: Subjects that may have a line from which on those are forgotten whose line has ended; then from twice as many as had.
MANY_LINED = 1000


@dataclass(slots=True)
class Lane:
    """One subscription's channel and token in this process.

    When a channel has gathered, the token is read, the broker is asked whether it still knows the channel, and then the
    token is taken by compare-and-set: a channel that was lost unnoticed while it gathered takes no token.

    `deliver` passes on what the broker gave, in order; `quiet` returns when nothing of an earlier channel is in
    progress; `drop` takes out of hand what has not begun.
    """

    runtime: Runtime
    subscription: str  # its identity
    queue: str
    deliver: Callable[[Delivery], None]
    quiet: Callable[[], Awaitable[None]]
    drop: Callable[[], None]
    consumer: Consumer | None = None
    token: int = 0
    opened: bool = False
    lined: set[str] = field(default_factory=set)  # subjects that may have a line: all that have one, and perhaps more
    place: int = 0
    doubted: bool = False  # an ending has lost: perhaps the token is another's
    _lined_before: int = 0  # how many had one when the ended ones were forgotten last
    _lately: set[str] | None = None  # that may have one since the store is asked for those that have
    _epoch: int = 0
    _last: float = 0.0  # when the last delivery came (monotonic seconds)
    _gather: Gather = field(default_factory=Gather)
    _gathered: asyncio.Event = field(default_factory=asyncio.Event)
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _opening: "asyncio.Task[None] | None" = None

    @property
    def gathering(self) -> bool:
        """Whether deliveries are in hand that nobody works on yet."""
        return bool(self._gather.held)

    def gathers(self, message_id: str) -> bool:
        """Whether a delivery of this message is in hand that nobody works on yet."""
        return any(each.message_id == message_id for each in self._gather.held)

    def next_place(self) -> int:
        """The place of the next delivery; behind all that was ever parked."""
        self.place += 1
        return self.place

    def may_have_line(self, subject: str) -> None:
        """An own commit may have made or lengthened the line of this subject."""
        self.lined.add(subject)
        if self._lately is not None:
            self._lately.add(subject)

    @property
    def many_lined(self) -> bool:
        """Whether it is time to `tidy`."""
        return len(self.lined) > max(MANY_LINED, 2 * self._lined_before)

    async def tidy(self, in_hand: Collection[str]) -> None:
        """Forget subjects whose line has ended; `in_hand` are those of which something may be ending, as it changes.

        `StoreError`: none is forgotten.
        """
        token, before, self._lately = self.token, self.lined.difference(in_hand), set()
        try:
            found = await lined_subjects(self.runtime.store, self.subscription)
            if self.opened and token == self.token:
                self.lined -= before.difference(found, self._lately, in_hand)
                self._lined_before = len(self.lined)
        finally:
            self._lately = None

    def receive(self, delivery: Delivery) -> None:
        """The broker's callback."""
        self._last = self.runtime.clock.monotonic()
        if delivery.handle.epoch != self._epoch:
            self._new_channel(delivery.handle.epoch)
        if self.opened:
            self.deliver(delivery)
            return
        if self._gather.add(delivery):
            self._gathered.set()
        self._came.set()

    def _new_channel(self, epoch: int) -> None:
        """Nothing begins on it yet, and nothing that came by the one before begins any more."""
        self.shut()
        self._epoch = epoch
        if self._opening is not None:
            self.runtime.tasks.cancel([self._opening])
        self._opening = self.runtime.tasks.spawn(f"open {self.queue} {epoch}", self._open(), may_end=True)

    def shut(self) -> None:
        """No run begins, until the next channel has gathered and its token is taken."""
        self.opened = False
        self._gather = Gather()
        self._gathered.clear()
        self.drop()

    async def _open(self) -> None:
        await self._until_gathered()
        await self.quiet()
        seen = await self._until_answered(lambda: token_of(self.runtime.store, self.subscription))
        if self.consumer is None or not await self.consumer.known() or not await self.take(seen):
            await self.renew()
            return
        held, self._gather = in_order(self._gather.held), Gather()
        for each in held:
            self.deliver(each)

    async def _until_gathered(self) -> None:
        """All that came back is here: something came that never did, the window is full, or nothing comes."""
        while not self._gathered.is_set():
            self._came.clear()
            waits = [asyncio.ensure_future(each.wait()) for each in (self._gathered, self._came)]
            try:
                done, _ = await asyncio.wait(waits, timeout=SILENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in waits:
                    each.cancel()
            if not done:
                return

    async def open_history(self, history: Consumer) -> None:
        """Take the token for what `history` delivers, once nothing of before is in progress (RULES 7.5 c).

        No channel of the queue is there yet: who holds the backfill's row works, and the token fences whoever held it.
        """
        self.shut()
        self.consumer = history
        await self.quiet()
        while not await self.take(await self._until_answered(lambda: token_of(self.runtime.store, self.subscription))):
            pass

    async def take(self, seen: int) -> bool:
        """Take the token after `seen`, and open the lane; False where another process was first."""
        store, boot = self.runtime.store, self.runtime.instance.boot

        async def work() -> bool:
            found = await take(store, self.subscription, boot, self.runtime.clock.now().timestamp(), seen)
            if found is None:
                return False
            self.token, self.lined = found.token, set(found.subjects)
            self.place = max(self.place, found.place)
            return True

        taken = await self._until_answered(work)
        self.opened, self.doubted = taken, False
        return taken

    async def _until_answered(self, work: Callable[[], Awaitable[T]]) -> T:
        return await until_done(work, STORE_BACKOFF, self.runtime.chance, on=StoreError, failed=self._failed)

    def _failed(self, error: StoreError) -> None:
        self.runtime.trouble(
            "the token of an ordered subscription cannot be taken", queue=self.queue, reason=str(error)
        )

    async def holds(self) -> bool:
        """Whether its token is still the store's; where not, the lane is shut and a new channel follows.

        `StoreError`: nobody knows.
        """
        if await token_of(self.runtime.store, self.subscription) == self.token:
            self.doubted = False
            return True
        self.runtime.trouble("another process works on an ordered subscription now", queue=self.queue)
        await self.renew()
        return False

    async def renew(self) -> None:
        """Drop what is in hand and open a new channel."""
        self.shut()
        if self.consumer is not None:
            await self.consumer.renew()

    async def watch(self, holds_none: Callable[[], bool]) -> None:
        """RULES 9.11: a consumer that gets nothing while its queue has something opens a new channel."""
        while True:
            await asyncio.sleep(WEDGED_SECONDS)
            silent = self.runtime.clock.monotonic() - self._last >= WEDGED_SECONDS
            if not silent or not holds_none() or self.gathering or self.consumer is None:
                continue
            try:
                depth = await self.runtime.transport.depth(self.queue)
            except TransportError:
                continue
            if depth is not None and depth.messages:
                await self.renew()
