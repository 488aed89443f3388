"""When a service declares its topology again."""

import asyncio
import random
from dataclasses import replace
from pathlib import Path

from hocket.broker.topology import Topology
from hocket.config import Config
from hocket.store.sqlite.store import SqliteStore
from hocket.worker.topology import TopologyDeclaration
from tests.hocket.sample_runtime import runtime_of
from tests.hocket.sample_services import Processes

#: Services that start together.
FLEET = 200


async def test_services_that_start_together_declare_apart(tower: Processes, tmp_path: Path) -> None:
    """Of a fleet that a roll-out has started at once no second of the period sees more than a few declarations."""
    store = SqliteStore(str(tmp_path / "unused.db"), clock=tower.clock, boot="b", inline=True)
    loop, began = asyncio.get_running_loop(), asyncio.get_running_loop().time()
    seconds: list[int] = []
    tasks = []
    for number in range(FLEET):
        runtime = replace(runtime_of(f"s{number}", store, tower.clock), chance=random.Random(number))
        await runtime.transport.open()

        async def declare(topology: Topology) -> None:
            seconds.append(int(loop.time() - began))

        runtime.transport.declare = declare  # type: ignore[method-assign]  # counts, and declares nothing
        tasks.append(loop.create_task(TopologyDeclaration(runtime, Topology()).keep()))
    period = int(Config.model_construct().topology_seconds)
    await asyncio.sleep(2 * period)
    for task in tasks:
        task.cancel()
    assert len(seconds) in range(2 * FLEET - 5, 2 * FLEET + 1)
    assert max(map(seconds.count, seconds)) < 5 * FLEET / period
