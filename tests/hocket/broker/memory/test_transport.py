"""The broker in memory keeps the contract."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.port import Transport
from hocket.testing.transport_contract import TransportContract
from hocket.testing.transport_contract.world import World

#: Small, so that no test needs a large body.
MAX_BYTES = 1_000_000


class MemoryWorld:
    """One broker in memory and its faults."""

    max_message_bytes = MAX_BYTES

    def __init__(self) -> None:
        self._broker = MemoryBroker(max_message_bytes=MAX_BYTES)

    async def transport(self, name: str) -> Transport:
        """A transport of this broker."""
        return MemoryTransport(self._broker, name)

    async def cut(self, name: str) -> None:
        """Break its connection."""
        self._broker.cut(name)

    async def withhold(self, name: str, on: bool) -> None:
        """Withhold confirms."""
        del name
        self._broker.drop_confirms(on)

    async def alarm(self, on: bool) -> None:
        """Block publishers."""
        self._broker.alarm(on)

    async def depth(self, queue: str) -> int:
        """How many messages the queue holds."""
        return self._broker.depth(queue)


class TestMemoryTransport(TransportContract):
    """Every promise, without a network."""

    @asynccontextmanager
    async def world(self) -> AsyncIterator[World]:
        """A new broker for each test."""
        yield MemoryWorld()
