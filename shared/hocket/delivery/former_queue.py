"""The queues that a subscription had under former names: consumed until nothing comes from them (RULES 2.4)."""

import asyncio
from dataclasses import dataclass, field

from hocket.broker.port import Consumer, Delivery
from hocket.declarations.subscription import Subscription
from hocket.delivery.intake import Intake
from hocket.errors import HocketError
from hocket.runtime import Runtime

#: Seconds without a delivery after which the queue of a former name counts as empty.
FORMER_SECONDS = 30.0
#: Tries to consume the queue of a former name before it counts as removed, and seconds between them.
FORMER_TRIES = 3
FORMER_WAIT = 1.0


@dataclass(slots=True)
class FormerQueues:
    """Empties the queues of the former names of one subscription into its intake."""

    runtime: Runtime
    subscription: Subscription
    intake: Intake
    prefetch: int
    consumers: dict[str, Consumer] = field(default_factory=dict)  # by queue
    _last_delivery: dict[str, float] = field(default_factory=dict)  # by queue, in monotonic seconds

    def start(self) -> None:
        """Empty each of them in a task of its own."""
        for queue in self.subscription.former_queues:
            self.runtime.tasks.spawn(f"empty {queue}", self.empty(queue), may_end=True)

    async def empty(self, queue: str, silence: float = FORMER_SECONDS) -> None:
        """Consume the queue until nothing comes from it for so many seconds, then report that it can be removed."""
        while (consumer := await self._consume(queue)) is not None:
            await self._until_silent(queue, silence)
            epoch = consumer.epoch
            await consumer.cancel()
            while self.intake.held_of(queue):  # noqa: ASYNC110 -- the rest is settled in a moment
                await asyncio.sleep(FORMER_WAIT)
            lost = consumer.epoch != epoch  # what was delivered at the end went back with the link
            del self.consumers[queue]
            await consumer.close()
            if not lost:
                what = "the queue of a former name is empty: remove it from the broker"
                self.runtime.trouble(what, queue=queue, now=self.subscription.queue)
                return

    async def _until_silent(self, queue: str, silence: float) -> None:
        clock = self.runtime.clock
        last = self._last_delivery  # grows with each delivery, which wakes nobody
        while self.intake.held_of(queue) or clock.monotonic() - last[queue] < silence:  # noqa: ASYNC110 -- see above
            await asyncio.sleep(FORMER_WAIT)

    async def _consume(self, queue: str) -> Consumer | None:
        """A consumer of the queue, None where the queue was removed long ago."""
        early: list[Delivery] = []  # delivered before its consumer is known

        def deliver(delivery: Delivery) -> None:
            if queue not in self.consumers:
                early.append(delivery)
                return
            self._last_delivery[queue] = self.runtime.clock.monotonic()
            self.intake.deliver(delivery)

        transport = self.runtime.transport
        for _ in range(FORMER_TRIES):
            await transport.until_ready()
            try:
                consumer = await transport.consume(queue, prefetch=self.prefetch, deliver=deliver)
            except HocketError:  # the queue was removed, or the link was lost just now
                await asyncio.sleep(FORMER_WAIT)
                continue
            self.consumers[queue] = consumer
            self._last_delivery[queue] = self.runtime.clock.monotonic()
            for each in early:
                deliver(each)
            return consumer
        return None
