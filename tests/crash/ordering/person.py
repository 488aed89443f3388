"""The person at the desk: mends what a dead head needs, and replays it."""

import asyncio
import contextlib
import json
from dataclasses import dataclass, field

import aio_pika
import aiohttp
from pamqp.common import FieldValue

#: Seconds between two looks at the letters, and that one look may take.
LOOK_SECONDS, TRY_SECONDS = 0.5, 10.0


@dataclass(slots=True)
class Person:
    """Replays each letter of `clerk.hold`; `letters` has all there were: (subscription, cause, name)."""

    broker: str
    outside: str
    letters: dict[str, tuple[str, str, str]] = field(default_factory=dict)  # by id of the death

    async def live(self) -> None:
        """Look for letters, for ever; what could not be done is tried again, since nothing is taken before."""
        while True:
            with contextlib.suppress(aio_pika.exceptions.AMQPError, aiohttp.ClientError, OSError, RuntimeError):
                async with asyncio.timeout(TRY_SECONDS):
                    await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """All letters that are there."""
        async with await aio_pika.connect(self.broker) as connection, aiohttp.ClientSession() as http:
            channel = await connection.channel()
            dead = await channel.get_queue("hocket.dead", ensure=False)
            while (letter := await dead.get(fail=False)) is not None:
                about = {name: letter.headers.get(f"hocket-death-{name}") for name in ("id", "subscription", "cause")}
                sale = json.loads(letter.body)["data"]["sale"]
                self.letters[str(about["id"])] = str(about["subscription"]), str(about["cause"]), sale
                if str(about["subscription"]).startswith("clerk.hold"):
                    await self._replay(http, channel, letter, sale)
                await letter.ack()

    async def _replay(
        self, http: aiohttp.ClientSession, channel: aio_pika.abc.AbstractChannel,
        letter: aio_pika.abc.AbstractIncomingMessage, sale: str,
    ) -> None:  # fmt: skip
        async with http.post(f"{self.outside}/mended/{sale}") as answer:
            answer.raise_for_status()
        headers: dict[str, FieldValue] = {
            "hocket-attempt": int(str(letter.headers["hocket-death-attempt"])) + 1,
            "hocket-replay": f"replay of {letter.headers['hocket-death-id']!s}",
        }
        message = aio_pika.Message(
            letter.body, headers=headers, content_type=letter.content_type, message_id=letter.message_id,
            type=letter.type, app_id="person", correlation_id=letter.correlation_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )  # fmt: skip
        exchange = await channel.get_exchange("clerk", ensure=False)
        await exchange.publish(message, str(letter.headers["hocket-death-subscription"]), mandatory=True)
