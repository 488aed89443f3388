"""Says numbered events: history first, then live ones beside the kills. What is not confirmed is said again."""

import asyncio
import random

from hocket.broker.port import Message, Verdict
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, kit, routing_key
from hocket.clock import SystemClock
from hocket.envelope import CONTENT_TYPE, Envelope, encode
from hocket.envelope.ids import Ids

#: Messages that are published together, and seconds before what was not confirmed is said again.
BATCH, AGAIN_SECONDS = 128, 0.2


class Speaker:
    """`said` is how many events the log has: numbers 0 to `said`."""

    def __init__(self, url: str, seed: int) -> None:
        self._transport = RabbitTransport(url, "speaker")
        self._ids = Ids(SystemClock(), random.Random(seed))
        self.said = 0
        self.doubled = 0  # said again, since their confirm was lost

    async def open(self) -> None:
        """Declare what every service shares: the log is there before anybody hears."""
        await self._transport.open()
        await self._transport.until_ready()
        await self._transport.declare(kit())

    async def close(self) -> None:
        """End."""
        await self._transport.close()

    async def say(self, many: int) -> None:
        """So many more; returns when all are confirmed."""
        for first in range(self.said, self.said + many, BATCH):
            waiting = [self._message(number) for number in range(first, min(first + BATCH, self.said + many))]
            while waiting:
                answers = await self._transport.publish(waiting)
                left = [
                    message for message, answer in zip(waiting, answers, strict=True)
                    if answer.verdict not in {Verdict.CONFIRMED, Verdict.RETURNED}
                ]  # fmt: skip
                if left:
                    self.doubled += len(left)
                    await asyncio.sleep(AGAIN_SECONDS)
                waiting = left
        self.said += many

    async def live(self, rate: float, over: asyncio.Event) -> None:
        """One after the other, at this rate a second, until it is over."""
        while not over.is_set():
            await self.say(1)
            await asyncio.sleep(1 / rate)

    def _message(self, number: int) -> Message:
        id = self._ids.uuid7()
        envelope = Envelope(
            id=id, source="/speaker", type="crash.noted", version=1, subject=f"crash/{number % 50}", correlation_id=id,
            time=SystemClock().now(), idempotency_key=f"n{number}", data={"number": number},
        )  # fmt: skip
        return Message(EVENTS, routing_key("crash.noted", 1), encode(envelope), CONTENT_TYPE)
