"""The relay publishes nothing before the topology stands."""

import asyncio

import pytest

from hocket.broker.memory import MemoryTransport
from hocket.broker.topology import Topology
from tests.hocket.sample_services import Echoed, Processes, World, bells


async def test_nothing_is_published_before_the_topology_stands(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.3: what is said while a new broker is still being furnished waits, and is not refused for good."""
    furnished, declare = asyncio.Event(), MemoryTransport.declare

    async def slowly(self: MemoryTransport, topology: Topology) -> None:
        await furnished.wait()
        await declare(self, topology)

    monkeypatch.setattr(MemoryTransport, "declare", slowly)
    worker = await tower.start(bells.using(World()))
    async with worker.outside("first", None) as tx:
        tx.say(Echoed(name="a"))
    await asyncio.sleep(1.0)
    waiting = await worker.runtime.store.waiting()
    assert (waiting.events, waiting.refused) == (1, 0)
    furnished.set()
    await tower.quiet()
    assert [each.type for each in tower.log()] == ["bell.echoed"]
