"""A queue that is down: the link says so and recovers, or says what to do about a queue that RabbitMQ 3.10 lost."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode
from hocket.broker.port import Transport, Verdict
from hocket.broker.rabbitmq import transport as link
from hocket.broker.rabbitmq.connection import OpenConnection
from hocket.broker.rabbitmq.declare import QueueDown, declare
from hocket.broker.topology import LOG, RECEIPTS, UNHEARD, Topology
from hocket.errors import TransportError
from hocket.testing.transport_contract.world import PATIENCE, Room, closed, opened, until
from tests.hocket.broker.rabbitmq.breakable_node import RabbitWorld


async def declares(transport: Transport, room: Room) -> None:
    """Declare as a service does: a failure is reported by the link."""
    try:
        await transport.declare(room.topology())
    except TransportError:
        return


async def test_what_is_down_is_waited_for(
    rabbitmq: RabbitNode, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a queue is down the link is not ready and says which; once it is up, all is declared and published."""
    room = Room()
    answers = ["log is down", "unheard is down"]

    async def declares_later(session: OpenConnection, topology: Topology, where: str, without: set[str]) -> None:
        if answers:
            raise QueueDown(answers.pop(0))
        await declare(session, topology, where, without)

    async with AsyncExitStack() as stack:
        transport = await RabbitWorld(rabbitmq, broker_url, stack).transport(room.service)
        monkeypatch.setattr(link, "DOWN_SECONDS", 0.1)
        monkeypatch.setattr(link, "declare", declares_later)
        transport.on_ready(lambda: declares(transport, room))
        await transport.open()
        ready = asyncio.create_task(transport.until_ready())
        await until(lambda: "unheard is down" in transport.link().reason, "it looks again, and says what it finds")
        assert not ready.done()  # nobody publishes: what the log does not take is confirmed by the others
        await until(lambda: transport.link().ready and not answers, "the link is ready by itself")
        await asyncio.wait_for(ready, PATIENCE)
        verdicts = [Verdict.UNKNOWN]
        while verdicts == [Verdict.UNKNOWN]:  # the channel that published while it was down is given up
            verdicts = [one.verdict for one in await transport.publish([room.said()])]
            await asyncio.sleep(0.05)
        assert verdicts == [Verdict.CONFIRMED]
        await closed([transport])


async def test_killed_right_after_declaring(tmp_path: Path) -> None:
    """The link names the lost stream and a remedy that works; if the broker lost nothing, the link is ready."""
    room = Room()
    node = RabbitNode(tmp_path)
    try:
        await asyncio.to_thread(node.start)
        async with AsyncExitStack() as stack:
            transport = await RabbitWorld(node, node.url(), stack).transport(room.service)
            transport.on_ready(lambda: declares(transport, room))
            await transport.open()
            await asyncio.wait_for(transport.until_ready(), PATIENCE)
            await asyncio.to_thread(node.kill)
            await until(lambda: not transport.link().ready, "the loss is noticed")
            await asyncio.to_thread(node.start)
            lost = "does not have queue"
            await until(lambda: transport.link().ready or lost in transport.link().reason, "the broker has answered")
            said = transport.link().reason
            if said:
                assert any(f"queue {stream} up" in said for stream in (LOG, RECEIPTS, UNHEARD))
                assert "fresh virtual host" in said
                url = await asyncio.to_thread(node.add_vhost, "fresh")
                second = await opened(RabbitWorld(node, url, stack), "second", room.topology())
                assert second.link().ready
                [answer] = await asyncio.wait_for(second.publish([room.said()]), PATIENCE)
                assert answer.verdict is Verdict.CONFIRMED
                await closed([second])
            await closed([transport])
    finally:
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.stop)
