"""The fleet does to real processes what it is told, and tells of those that end by themselves."""

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator

import pytest

from deploy.demo.world import Unanswered, World
from tests.chaos.play.fleet import Fleet
from tests.chaos.play.site import Site, site
from tests.faked_clock import library

READY_SECONDS = 60.0


@pytest.fixture
async def place() -> AsyncIterator[Site]:
    """A place of its own."""
    found = site(f"test-{os.getpid()}", 1)
    yield found
    shutil.rmtree(found.folder)


@pytest.fixture
async def fleet(place: Site) -> AsyncIterator[Fleet]:
    """One service that runs without a broker of its own."""
    found = Fleet(place, "memory://", clocks=library() is not None)
    yield found
    await found.close()


async def test_a_replica_is_killed_paused_and_ended_at_a_boundary(place: Site, fleet: Fleet) -> None:
    """Each time it is back afterwards, and nothing has ended by itself."""
    world = World(place)
    try:
        await fleet.start("ingress")
        assert await world.ready("ingress", READY_SECONDS) == ""
        await fleet.kill("ingress", 0.0)
        assert await world.ready("ingress", READY_SECONDS) == ""
        pausing = asyncio.create_task(fleet.pause("ingress", 1.0))
        await asyncio.sleep(0)
        with pytest.raises((Unanswered, TimeoutError)):
            async with asyncio.timeout(0.5):
                await world.ask("GET", "ingress", "/health/ready")
        await pausing
        assert await world.ready("ingress", READY_SECONDS) == ""
        assert await fleet.end_at("ingress", "before take-over", 1, READY_SECONDS)
        assert await world.ready("ingress", READY_SECONDS) == ""
    finally:
        await world.close()
    assert fleet.fallen == []


async def test_a_process_that_ends_by_itself_is_told_of(place: Site, fleet: Fleet) -> None:
    """With its status; it is started again all the same."""
    world = World(place)
    try:
        await fleet.start("ingress")
        async with fleet.held("ingress") as replica:
            assert replica.process is not None
            replica.process.send_signal(signal.SIGKILL)
            await replica.process.wait()
        await fleet.kill("ingress", 0.0)
        assert await world.ready("ingress", READY_SECONDS) == ""
    finally:
        await world.close()
    assert [each.partition(":")[0] for each in fleet.fallen] == ["ingress ended by itself with status -9"]
