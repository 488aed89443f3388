"""Somebody at the broker: publishes events a second time, and moves what waits in queues."""

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from hocket.broker.port import NEXT, Delivery, Message, Transport, Verdict
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, LOG
from hocket.cli.targets import load
from hocket.declarations.projections.projection import generation_of
from hocket.telemetry import logs

#: Latest events of the log that may be doubled, and deliveries of it that may be on their way.
REMEMBERED, PREFETCH = 2000, 200
#: Longest that one act may take, in seconds; the broker may be away.
ACT_SECONDS = 10.0


def queues(service: str) -> list[str]:
    """The queue of each subscription of a service, and of the first generation of each projection."""
    declared = load(f"services.{service}").declarations
    return [*declared.subscriptions, *(generation_of(each, 1).queue for each in declared.projections.values())]


def kept(headers: Mapping[str, object]) -> dict[str, str | int]:
    """The headers that were sent: the broker's own begin with `x-`."""
    return {
        name: value for name, value in headers.items() if isinstance(value, str | int) and not name.startswith("x-")
    }


class Hands:
    """Reads along with the log, and does things to deliveries; counts what it did."""

    def __init__(self, broker_url: str, transport: Transport) -> None:
        self._broker_url = broker_url
        self._transport = transport
        self.latest: deque[Delivery] = deque(maxlen=REMEMBERED)
        self.doubled = self.moved = 0

    def note(self, delivery: Delivery) -> None:
        """An event of the log."""
        self.latest.append(delivery)

    async def double(self, chance: random.Random, count: int) -> None:
        """Publish some of the latest events once more, same id and source, in another order."""
        among = [each for each in self.latest if each.routing_key]
        chosen = chance.sample(among, min(count, len(among)))
        copies = [
            Message(EVENTS, each.routing_key, each.body, each.content_type, kept(each.headers)) for each in chosen
        ]
        with suppress(TimeoutError):
            async with asyncio.timeout(ACT_SECONDS):
                answers = await self._transport.publish(copies)
                self.doubled += sum(answer.verdict is Verdict.CONFIRMED for answer in answers)

    async def reorder(self, chance: random.Random, most: int, names: Sequence[str]) -> None:
        """Take what waits in each queue and put it back behind all others, in another order."""
        with suppress(aio_pika.exceptions.AMQPError, OSError, TimeoutError, RuntimeError):
            # Where the broker goes away, what was taken and not settled goes back.
            async with asyncio.timeout(ACT_SECONDS), await aio_pika.connect(self._broker_url) as connection:
                channel = await connection.channel()
                for queue in names:
                    self.moved += await _move(channel, queue, chance, most)


async def _move(channel: AbstractChannel, name: str, chance: random.Random, most: int) -> int:
    queue = await channel.get_queue(name, ensure=False)
    taken: list[AbstractIncomingMessage] = []
    while len(taken) < most and (message := await queue.get(fail=False)) is not None:
        taken.append(message)
    if not taken:
        return 0
    exchange = await channel.get_exchange(name.partition(".")[0], ensure=False)
    for message in chance.sample(taken, len(taken)):
        copy = aio_pika.Message(
            message.body,
            headers=dict(kept(message.headers)),
            content_type=message.content_type,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
            message_id=message.message_id,
            correlation_id=message.correlation_id,
            type=message.type,
            app_id=message.app_id,
            timestamp=message.timestamp,
        )
        await exchange.publish(copy, routing_key=name)
    await taken[-1].ack(multiple=True)
    return len(taken)


@asynccontextmanager
async def hands(broker_url: str) -> AsyncIterator[Hands]:
    """Hands at the broker that read along with the log, for as long as this lasts."""
    logs.quiet()  # the chaos breaks connections on purpose
    transport = RabbitTransport(broker_url, "chaos")
    await transport.open()
    try:
        await transport.until_ready()
        found = Hands(broker_url, transport)

        def deliver(delivery: Delivery) -> None:
            found.note(delivery)
            consumer.ack([delivery.handle])

        consumer = await transport.consume(LOG, prefetch=PREFETCH, deliver=deliver, offset=NEXT)
        yield found
    finally:
        await transport.close()
