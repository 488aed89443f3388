"""Station intake: the broker's callback only enqueues; the lane's own task takes from here."""

import asyncio
from collections import deque
from collections.abc import Callable

from hocket.transport import Consumer, Delivery

PROMISE = (
    "the broker's callback only enqueues; deliveries of an older epoch are not begun; pauses while a breaker is open, "
    "the store fails or the outbox is full"
)

#: Deliveries that the broker hands a subscription before the first is settled.
PREFETCH = 256
#: Deliveries admitted in one look-up.
ADMIT_BATCH = 64


class Intake:
    """The buffer between the broker's callback and one lane; never longer than the prefetch."""

    def __init__(self) -> None:
        self._buffer: deque[Delivery] = deque()
        self._some = asyncio.Event()

    def deliver(self, delivery: Delivery) -> None:
        """The broker's callback."""
        self._buffer.append(delivery)
        self._some.set()

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
                    if (
                        delivery.handle.epoch >= consumer(delivery).epoch
                    ):  # an older one comes again by itself (RULES 1.1)
                        batch.append(delivery)
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
        return rest
