"""Station intake: the broker's callback only enqueues; the lane's own task takes from here."""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence

from hocket.broker.port import Consumer, Delivery

PROMISE = (
    "the broker's callback only enqueues; deliveries of an older epoch are not begun; pauses while a breaker is open, "
    "the store fails or the outbox is full; bounded by counts and by bytes"
)

#: Deliveries admitted in one look-up.
ADMIT_BATCH = 64
#: How much one delivery moves the size that is expected of the next, as a fraction.
EXPECTED_SHIFT = 1 / 8


class PrefetchBudget:
    """How many deliveries the broker may hand a subscription, by what those weigh that it holds. Pure.

    `share` is in bytes. A broker cannot be stopped within its prefetch: a first burst may go beyond the share, once, by
    prefetch times the largest event.

    While they are small the prefetch rules. Where they outgrow the share intake stops, until half of it is free; then
    it goes on with as many as fit. It never goes below one: an event larger than the share comes alone.
    """

    def __init__(self, share: int, prefetch: int) -> None:
        self._share = share
        self._prefetch = prefetch
        self._expected = 0.0
        self.present = prefetch
        self.held = 0  # bytes

    def take(self, size: int) -> None:
        """A delivery has come."""
        self.held += size
        self._expected += (size - self._expected) * EXPECTED_SHIFT

    def free(self, size: int) -> None:
        """It is settled, or goes back."""
        self.held -= size

    def change(self) -> int | None:
        """The number to ask the broker for, None where the present one stands."""
        half = self._share / 2
        if self.present == self._prefetch and self.held <= half and self._expected * self._prefetch <= half:
            return None
        wanted = self._wanted()
        if wanted == self.present:
            return None
        self.present = wanted
        return wanted

    def _wanted(self) -> int:
        fits = min(max(int(self._share / 2 / max(self._expected, 1.0)), 1), self._prefetch)
        if self.held > self._share:
            return 0
        if not self.present:
            return fits if self.held <= self._share // 2 else 0
        enough = fits == self._prefetch or fits >= 2 * self.present or 2 * fits <= self.present
        return fits if enough else self.present


class Intake:
    """The buffer between the broker's callback and one lane; never longer than the prefetch.

    Its `ration` counts what the lane holds: from `deliver` until `settled`, also while it is in work.
    """

    def __init__(self, ration: PrefetchBudget) -> None:
        self._buffer: deque[Delivery] = deque()
        self._some = asyncio.Event()
        self._ration = ration
        self._held: Counter[str] = Counter()
        self.consumer: Consumer | None = None

    def deliver(self, delivery: Delivery) -> None:
        """The broker's callback."""
        self._ration.take(len(delivery.body))
        self._held[delivery.queue] += 1
        self._ask()
        self.again(delivery)

    def again(self, delivery: Delivery) -> None:
        """It goes back to the buffer: it must be looked up again."""
        self._buffer.append(delivery)
        self._some.set()

    def settled(self, deliveries: Sequence[Delivery]) -> None:
        """They are no longer held: settled, given back, or of an older epoch."""
        for delivery in deliveries:
            self._ration.free(len(delivery.body))
            self._held[delivery.queue] -= 1
        self._ask()

    def held_of(self, queue: str) -> int:
        """How many deliveries of this queue are held, waiting or in work."""
        return self._held[queue]

    def _ask(self) -> None:
        if self.consumer is not None and (prefetch := self._ration.change()) is not None:
            self.consumer.limit(prefetch)

    def wake(self) -> None:
        """A gate may have opened: look again."""
        self._some.set()

    def __len__(self) -> int:
        return len(self._buffer)

    async def take(
        self, consumer: Callable[[Delivery], Consumer], allowed: Callable[[], tuple[int, float | None]]
    ) -> list[Delivery]:
        """The next deliveries, as many as `allowed` says now; `consumer` tells whence one came.

        `allowed` answers how many, and where that is none, after how many seconds to ask again (None: when woken).
        """
        while True:
            self._some.clear()
            many, wait = allowed()
            if many and self._buffer:
                batch: list[Delivery] = []
                while self._buffer and len(batch) < min(many, ADMIT_BATCH):
                    delivery = self._buffer.popleft()
                    if delivery.handle.epoch >= consumer(delivery).epoch:
                        batch.append(delivery)
                    else:  # it comes again by itself (RULES 1.1)
                        self.settled([delivery])
                if batch:
                    return batch
                continue
            await self._until_woken(wait if not many else None)

    async def _until_woken(self, seconds: float | None) -> None:
        if seconds is None:
            await self._some.wait()
            return
        try:
            async with asyncio.timeout(max(seconds, 0.001)):
                await self._some.wait()
        except TimeoutError:
            return

    def empty(self) -> list[Delivery]:
        """Everything that was never begun, for giving back."""
        rest = list(self._buffer)
        self._buffer.clear()
        self.settled(rest)
        return rest
