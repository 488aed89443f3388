"""Station intake: the buffer between the broker's callback and the tasks of the subscription."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from hocket.broker.port import Consumer, Delivery
from hocket.delivery.gates.gate import Room

PROMISE = (
    "the broker's callback only puts a delivery into the buffer; a delivery of an older epoch is not begun; "
    "intake pauses while a breaker is open, the store fails or the outbox is full; the buffer is bounded in "
    "deliveries and bytes"
)

#: Deliveries whose inbox rows are looked up together.
ADMIT_BATCH = 128
#: The weight of one delivery in the moving average of sizes.
EXPECTED_SHIFT = 1 / 8


class PrefetchBudget:
    """How many unsettled deliveries a subscription asks the broker for, by the bytes that it holds. Pure.

    `share` is in bytes. The broker sends up to the prefetch without asking: the first burst may exceed the share, once,
    by prefetch times the largest event.

    While deliveries are small it is the prefetch. When they exceed the share of bytes it is 0, until half of the share
    is free; then it is as many as fit, at least one: an event larger than the share is delivered alone.
    """

    def __init__(self, share: int, prefetch: int) -> None:
        self._share = share
        self._prefetch = prefetch
        self._expected = 0.0
        self.current = prefetch
        self.held = 0  # bytes

    def take(self, size: int) -> None:
        """Count a delivery of this many bytes."""
        self.held += size
        self._expected += (size - self._expected) * EXPECTED_SHIFT

    def free(self, size: int) -> None:
        """A delivery of this many bytes was settled or given back."""
        self.held -= size

    @property
    def over(self) -> bool:
        """Whether more bytes are held than the share."""
        return self.held > self._share

    def change(self) -> int | None:
        """The new prefetch to ask the broker for, None where it does not change."""
        half = self._share / 2
        if self.current == self._prefetch and self.held <= half and self._expected * self._prefetch <= half:
            return None
        wanted = self._wanted()
        if wanted == self.current:
            return None
        self.current = wanted
        return wanted

    def _wanted(self) -> int:
        fits = min(max(int(self._share / 2 / max(self._expected, 1.0)), 1), self._prefetch)
        if self.held > self._share:
            return 0
        if not self.current:
            return fits if self.held <= self._share // 2 else 0
        enough = fits == self._prefetch or fits >= 2 * self.current or 2 * fits <= self.current
        return fits if enough else self.current


class Intake:
    """The buffer between the broker's callback and one subscription; never longer than the prefetch.

    `budget` counts the deliveries that the subscription holds, in the buffer and in progress. `is_noted` says which of
    them call nobody, and may pass the others where the room allows it.
    """

    def __init__(self, budget: PrefetchBudget, is_noted: Callable[[Delivery], bool]) -> None:
        self._buffer: deque[Delivery] = deque()
        self._changed = asyncio.Event()
        self._budget = budget
        self._is_noted = is_noted
        self._held: Counter[str] = Counter()
        self.consumer: Consumer | None = None

    def deliver(self, delivery: Delivery) -> None:
        """The broker's callback."""
        self._budget.take(len(delivery.body))
        self._held[delivery.queue] += 1
        self._adjust_prefetch()
        self.put_back(delivery)

    def put_back(self, delivery: Delivery, *, first: bool = False) -> None:
        """Put a delivery into the buffer, to be looked up in the inbox (again); `first`: in front of all others."""
        if first:
            self._buffer.appendleft(delivery)
        else:
            self._buffer.append(delivery)
        self._changed.set()

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """These deliveries are no longer held: settled, given back, or of an older epoch."""
        for delivery in deliveries:
            self._budget.free(len(delivery.body))
            self._held[delivery.queue] -= 1
        self._adjust_prefetch()

    def holds(self, message_id: str) -> bool:
        """Whether a delivery of this message waits in the buffer."""
        return any(each.message_id == message_id for each in self._buffer)

    @property
    def over(self) -> bool:
        """Whether it holds more bytes than its share: who reads history for it waits."""
        return self._budget.over

    def held_of(self, queue: str) -> int:
        """How many deliveries of this queue are held, waiting or in progress."""
        return self._held[queue]

    def _adjust_prefetch(self) -> None:
        if self.consumer is not None and (prefetch := self._budget.change()) is not None:
            self.consumer.limit(prefetch)

    def wake(self) -> None:
        """What paused the intake may be over: check again."""
        self._changed.set()

    def __len__(self) -> int:
        return len(self._buffer)

    async def take(self, consumer: Callable[[Delivery], Consumer], room: Callable[[], Room]) -> list[Delivery]:
        """The next deliveries, as many as there is `room` for; `consumer` returns the consumer of a delivery."""
        while True:
            self._changed.clear()
            many, wait, noted = room()
            if many and self._buffer:
                if batch := self._first(min(many, ADMIT_BATCH), consumer):
                    return batch
                continue
            if noted and (batch := self._noted(consumer)):
                return batch
            await self._until_woken(wait if not many else None)

    def _first(self, many: int, consumer: Callable[[Delivery], Consumer]) -> list[Delivery]:
        """The first of the buffer, without those of an older epoch."""
        batch: list[Delivery] = []
        while self._buffer and len(batch) < many:
            self._keep(self._buffer.popleft(), batch, consumer)
        return batch

    def _noted(self, consumer: Callable[[Delivery], Consumer]) -> list[Delivery]:
        """Those that call nobody, wherever they stand; the others keep their places."""
        batch: list[Delivery] = []
        left: deque[Delivery] = deque()
        while self._buffer and len(batch) < ADMIT_BATCH:
            each = self._buffer.popleft()
            if self._is_noted(each):
                self._keep(each, batch, consumer)
            else:
                left.append(each)
        self._buffer.extendleft(reversed(left))
        return batch

    def _keep(self, delivery: Delivery, batch: list[Delivery], consumer: Callable[[Delivery], Consumer]) -> None:
        if delivery.handle.epoch >= consumer(delivery).epoch:
            batch.append(delivery)
        else:  # the broker delivers it again (RULES 1.1)
            self.settled([delivery])

    async def _until_woken(self, seconds: float | None) -> None:
        if seconds is None:
            await self._changed.wait()
            return
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._changed.wait()
        except TimeoutError:
            return

    def in_hand(self, most: int) -> list[Delivery]:
        """The next deliveries, whatever pauses the intake; they stay held."""
        return [self._buffer.popleft() for _ in range(min(most, len(self._buffer)))]

    def clear(self) -> list[Delivery]:
        """Remove every delivery that was not begun, for giving back."""
        removed = list(self._buffer)
        self._buffer.clear()
        self.settled(removed)
        return removed
