"""The broker dies under load: stopped in order, killed, one of several nodes; nothing is lost, nothing done twice."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode, find_programs, free_ports
from tests.flows.two_services import choir

#: Notes said before, while and after the broker is away, each.
NOTES = 300
#: RabbitMQ 3.10 writes down which streams it keeps a moment after it has declared them.
DIRECTORY_SECONDS = 4.0


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[RabbitNode]:
    """A node of its own, that a test may kill."""
    if find_programs() is None:
        pytest.skip("no rabbitmq-server is installed here; `make test` as root installs it")
    made = RabbitNode(tmp_path / "node")
    try:
        await asyncio.to_thread(made.start)
        yield made
    finally:
        await asyncio.to_thread(made.kill)
        await asyncio.to_thread(made.stop)


@pytest.mark.rabbitmq
async def test_a_broker_restarted_and_killed_under_load_loses_and_doubles_nothing(
    node: RabbitNode, tmp_path: Path
) -> None:
    """Restarted in order, then killed: readiness says so, work goes on where it stood, every effect happens once."""
    async with choir(node, node.url(), tmp_path) as band:
        await asyncio.sleep(DIRECTORY_SECONDS)
        said = 0
        for end in (node.stop, node.kill):
            load = asyncio.create_task(band.sing(said, NOTES))
            await band.written(said + 20)
            await asyncio.to_thread(end)
            await band.until(lambda: any("broker" in each for each in band.reasons()), lambda: "the loss is said")
            await load
            await band.sing(said + NOTES, NOTES)
            await asyncio.to_thread(node.start)
            said += 2 * NOTES
            await band.once(said)
        await band.ready()


@pytest.mark.rabbitmq
async def test_the_nodes_of_a_url_are_tried_in_turn(node: RabbitNode, tmp_path: Path) -> None:
    """The first is away and the second refuses: both are said until the third takes us; after a loss on it goes."""
    away, later = free_ports(2)
    url = node.url()
    head, _, tail = url.partition("@")
    path = tail.partition("/")[2]
    listed = f"{head}@127.0.0.1:{away},127.0.0.1:{later},127.0.0.1:{node.port}/{path}"
    async with choir(node, url, tmp_path) as band:
        await band.workers.pop(band.lead.name).stop()
        lead = await band.start(band.lead, url=listed)
        await band.ready()
        await band.sing(0, 5)
        await band.once(5)
        await asyncio.sleep(DIRECTORY_SECONDS)
        await asyncio.to_thread(node.kill)
        await band.sing(5, 5)
        ports = (away, later, node.port)
        await band.until(lambda: _all_named(lead.health(), ports), lambda: f"all named in {lead.health()}")
        await asyncio.to_thread(node.start)
        await band.once(10)
        await band.ready()


def _all_named(reasons: list[str], ports: tuple[int, ...]) -> bool:
    return all(any(f"127.0.0.1:{port} does not answer" in each for each in reasons) for port in ports)
