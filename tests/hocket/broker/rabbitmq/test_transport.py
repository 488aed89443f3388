"""The RabbitMQ driver keeps the contract on a real node."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest

from deploy.broker.node import RabbitNode
from hocket.testing.transport_contract import TransportContract
from hocket.testing.transport_contract.world import World
from tests.hocket.broker.rabbitmq.breakable_node import RabbitWorld


class TestRabbitTransport(TransportContract):
    """Every promise, over connections that break."""

    @pytest.fixture(autouse=True)
    def _node(self, rabbitmq: RabbitNode, broker_url: str) -> None:
        self._rabbitmq, self._url = rabbitmq, broker_url

    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        """One virtual host for all tests of this module, new proxies for each test."""
        async with AsyncExitStack() as stack:
            yield RabbitWorld(self._rabbitmq, self._url, stack)
