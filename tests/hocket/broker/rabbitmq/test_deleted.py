"""Exchanges that events are forwarded to are deleted: no event is confirmed and then lost."""

import asyncio
from contextlib import AsyncExitStack

import aio_pika
import pytest

from deploy.broker.node import RabbitNode
from hocket.broker.port import Verdict
from hocket.broker.rabbitmq.declare import forwarding
from hocket.broker.topology import HEARD, UNHEARD
from hocket.testing.transport_contract.world import (
    PATIENCE,
    Basket,
    Room,
    closed,
    ended,
    numbered,
    opened,
    until_depth,
)
from tests.hocket.broker.rabbitmq.breakable_node import RabbitWorld

#: Publishes under way at once, as the relay has them.
SENDERS = 8


async def deletes(url: str, exchange: str) -> None:
    """Somebody deletes an exchange, with everything that is bound to it."""
    admin = await aio_pika.connect(url)
    async with admin, admin.channel() as channel:
        await channel.exchange_delete(exchange)


async def test_all_is_heard(rabbitmq: RabbitNode, broker_url: str) -> None:
    """docs/wire.md: `heard` deleted: later events are heard once, though the log alone would confirm them."""
    room = Room()
    async with AsyncExitStack() as stack:
        transport = await opened(RabbitWorld(rabbitmq, broker_url, stack), room.service, room.topology())
        basket = Basket()
        consumer = await transport.consume(room.queue, prefetch=100, deliver=basket)
        for turn in range(3):
            await deletes(broker_url, HEARD)
            bodies = numbered(SENDERS, turn * SENDERS)
            answers = await asyncio.gather(*(transport.publish([room.said(body)]) for body in bodies))
            assert {one.verdict for said in answers for one in said} == {Verdict.CONFIRMED}
            await basket.has((turn + 1) * SENDERS)
        assert sorted(basket.bodies) == sorted(numbered(3 * SENDERS))
        consumer.ack(basket.handles())
        await ended(consumer)
        await closed([transport])


async def test_what_nobody_hears_is_kept(rabbitmq: RabbitNode, broker_url: str) -> None:
    """docs/wire.md: `unheard` deleted: an event that nobody hears is still kept there."""
    room = Room()
    async with AsyncExitStack() as stack:
        world = RabbitWorld(rabbitmq, broker_url, stack)
        transport = await opened(world, room.service, room.topology(hears=False))
        before = await world.depth(UNHEARD)
        await deletes(broker_url, UNHEARD)
        assert [one.verdict for one in await transport.publish([room.said()])] == [Verdict.CONFIRMED]
        await until_depth(world, UNHEARD, before + 1)
        await closed([transport])


@pytest.mark.parametrize("exchange", [HEARD, UNHEARD])
async def test_what_cannot_be_declared_again(rabbitmq: RabbitNode, broker_url: str, exchange: str) -> None:
    """RULES 1.5: if the exchange is not declared again, an event is RETURNED, to be retried, and never REFUSED."""
    room = Room()
    async with AsyncExitStack() as stack:
        transport = await RabbitWorld(rabbitmq, broker_url, stack).transport(room.service)
        await transport.open()
        await asyncio.wait_for(transport.until_ready(), PATIENCE)
        await transport.declare(room.topology())
        await deletes(broker_url, exchange)
        answers = await transport.publish([room.said(), room.to_queue(), room.said()])
        assert [one.verdict for one in answers] == [Verdict.RETURNED, Verdict.CONFIRMED, Verdict.RETURNED]
        assert exchange in answers[0].reason
        await transport.declare(room.topology())
        assert [one.verdict for one in await transport.publish([room.said()])] == [Verdict.CONFIRMED]
        await closed([transport])


def test_forwarding() -> None:
    """`hocket.events` forwards to `heard` and its alternate; a service's own exchange forwards to none."""
    assert forwarding(Room().topology()) == {"hocket.events": (HEARD, UNHEARD)}
