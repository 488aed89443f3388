"""Hands at a real broker: what waits is moved and nothing of it is lost; what was said is said once more."""

import asyncio
import random

import aio_pika

from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, LOG, kit, of_service
from tests.chaos.play.hands import hands

QUEUE, DELIVERIES = "payments.void", 12


async def test_deliveries_are_moved_and_doubled(broker_url: str) -> None:
    """All are there afterwards, in another order and with their headers; a double is in the log twice."""
    transport = RabbitTransport(broker_url, "payments")
    await transport.open()
    await transport.until_ready()
    await transport.declare(kit() + of_service("payments", [(QUEUE, ["order.cancelled.v1"])]))
    async with asyncio.timeout(60), hands(broker_url) as found, await aio_pika.connect(broker_url) as connection:
        channel = await connection.channel()
        exchange = await channel.get_exchange(EVENTS, ensure=False)
        for number in range(DELIVERIES):
            message = aio_pika.Message(
                str(number).encode(), headers={"hocket-attempt": number}, content_type="text/plain"
            )
            await exchange.publish(message, routing_key="order.cancelled.v1")
        await found.reorder(random.Random(1), DELIVERIES, [QUEUE])
        queue = await channel.get_queue(QUEUE, ensure=False)
        moved = [await queue.get(timeout=10) for _ in range(DELIVERIES)]
        bodies = [message.body for message in moved]
        assert found.moved == DELIVERIES
        assert sorted(bodies, key=int) == [str(number).encode() for number in range(DELIVERIES)]
        assert bodies != sorted(bodies, key=int)
        assert all(message.headers["hocket-attempt"] == int(message.body) for message in moved)
        while len(found.latest) < DELIVERIES:  # noqa: ASYNC110 -- the log tells when it does
            await asyncio.sleep(0.05)
        await found.double(random.Random(1), 5)
        assert found.doubled == 5
        while len(found.latest) < DELIVERIES + 5:  # noqa: ASYNC110 -- as above
            await asyncio.sleep(0.05)
        assert {each.queue for each in found.latest} == {LOG}
    await transport.close()
