"""A queue that exists and is not up yet, as after a node was killed: whoever consumes it waits for it."""

from collections.abc import Awaitable
from contextlib import AsyncExitStack

import pytest

from deploy.broker.node import RabbitNode
from hocket.broker.port import Handle
from hocket.broker.rabbitmq import consumer as module
from hocket.broker.rabbitmq.errors import Refused, client_call
from hocket.errors import TransportError
from hocket.testing.transport_contract.world import Basket, Room, closed, ended, opened
from tests.hocket.broker.rabbitmq.breakable_node import RabbitWorld

DOWN = "NOT_FOUND - home node 'r@h' of durable queue 'hocket.log' in vhost '/' is down or inaccessible"
NEVER = "ACCESS_REFUSED - access to queue refused"


def refusing(monkeypatch: pytest.MonkeyPatch, words: str, times: int) -> list[str]:
    """The broker answers the first attempts to consume with these words; the list says which were refused."""
    refused: list[str] = []

    async def call(asked: Awaitable[object], seconds: float | None = None) -> object:
        if getattr(asked, "__name__", "") == "basic_consume" and len(refused) < times:
            refused.append(words)
            asked.close()  # type: ignore[attr-defined]
            raise Refused(words)
        return await client_call(asked, seconds)

    monkeypatch.setattr(module, "client_call", call)
    return refused


async def test_a_queue_that_is_down_is_waited_for(
    rabbitmq: RabbitNode, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by who has not consumed it yet: a service that starts while a node recovers does not end."""
    room = Room()
    async with AsyncExitStack() as stack:
        transport = await opened(RabbitWorld(rabbitmq, broker_url, stack), room.service, room.topology())
        refused = refusing(monkeypatch, DOWN, 2)
        basket = Basket()
        consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
        assert refused == [DOWN, DOWN]
        await transport.publish([room.said(b"a")])
        await basket.has(1)
        handles: list[Handle] = basket.handles()
        consumer.ack(handles)
        await ended(consumer)
        await closed([transport])


async def test_a_queue_that_is_forbidden_is_not(
    rabbitmq: RabbitNode, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes by waiting: the caller is told at once."""
    room = Room()
    async with AsyncExitStack() as stack:
        transport = await opened(RabbitWorld(rabbitmq, broker_url, stack), room.service, room.topology())
        refusing(monkeypatch, NEVER, 1)
        with pytest.raises(TransportError, match="ACCESS_REFUSED"):
            await transport.consume(room.queue, prefetch=10, deliver=Basket())
        await closed([transport])
