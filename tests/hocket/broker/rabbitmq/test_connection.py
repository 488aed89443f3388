"""What the RabbitMQ driver adds to the contract: outages, refusals, killed nodes, and no tasks left behind."""

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aio_pika
import pytest
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as ClientChannel
from pamqp import commands
from pamqp.heartbeat import Heartbeat

from deploy.broker.node import RabbitNode, free_ports
from hocket.broker.port import MAX_HEADER_BYTES, Message, Transport, Verdict
from hocket.broker.rabbitmq import RabbitTransport, connection
from hocket.broker.rabbitmq.connection import BACKOFF_LAST_SECONDS
from hocket.broker.rabbitmq.protocol.publish_codec import MAX_SHORT_BYTES
from hocket.broker.topology import Topology
from hocket.errors import ConfigError
from hocket.testing.transport_contract.world import (
    PATIENCE,
    Basket,
    Room,
    closed,
    ended,
    numbered,
    opened,
    until,
    until_depth,
)
from tests.hocket.broker.rabbitmq.breakable_node import RabbitWorld

#: RabbitMQ 3.10 writes down which streams it keeps a moment after it has declared them; a node killed within that
#: moment never finds them again.
DIRECTORY_SECONDS = 4.0
#: Calls under way at once, and how many each makes after the other.
CALLERS = 40
CALLS = 5


@asynccontextmanager
async def proxied(node: RabbitNode, url: str) -> AsyncIterator[RabbitWorld]:
    """A world of this module's virtual host."""
    async with AsyncExitStack() as stack:
        yield RabbitWorld(node, url, stack)


async def says(transport: Transport, word: str) -> None:
    """Return when the link's reason has the word."""
    await until(lambda: word in transport.link().reason, f"the link says {word}")


async def test_unreachable_at_start(rabbitmq: RabbitNode, broker_url: str) -> None:
    """No broker: `open` returns, the link names the address and no password; it connects once there is one."""
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        proxy = await world.proxy(room.service)
        proxy.down()
        transport = await world.transport(room.service)
        await transport.open()
        await until(lambda: "does not answer" in transport.link().reason, "the link tells")
        said = transport.link().reason
        assert f"127.0.0.1:{proxy.port}" in said
        assert rabbitmq.password not in said
        answers = await transport.publish([room.to_queue()])
        assert [one.verdict for one in answers] == [Verdict.UNKNOWN]
        since = transport.link().since
        await asyncio.sleep(0.3)
        assert transport.link().since == since
        await proxy.up()
        await asyncio.wait_for(transport.until_ready(), PATIENCE + BACKOFF_LAST_SECONDS)
        assert transport.link().ready
        await closed([transport])


async def test_wrong_password_and_host(rabbitmq: RabbitNode, broker_url: str) -> None:
    """A refused login and a missing virtual host are reported in the link's reason."""
    for url, word in (
        (broker_url.replace(rabbitmq.password, "wrong-word"), "REFUSED"),
        (broker_url.rsplit("/", 1)[0] + "/nowhere", "nowhere"),
    ):
        transport = RabbitTransport(url, "stranger")
        await transport.open()
        await says(transport, word)
        assert "wrong-word" not in transport.link().reason
        await transport.close()


@pytest.mark.parametrize("url", ["", "memory://", "http://h/", "amqp://", "amqp://u:secret@[broken/"])
def test_no_url(url: str) -> None:
    """An invalid URL is a `ConfigError` that does not repeat it."""
    with pytest.raises(ConfigError, match="amqp://USER") as refused:
        RabbitTransport(url, "orders")
    assert "secret" not in str(refused.value)


async def test_broker_cancels(rabbitmq: RabbitNode, broker_url: str) -> None:
    """A queue that is deleted while consumed is reported, and consumed again once it exists again."""
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        basket = Basket()
        consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
        await transport.publish([room.to_queue(b"1")])
        await basket.has(1)
        consumer.ack(basket.handles())
        admin = await aio_pika.connect(broker_url)
        async with admin, admin.channel() as channel:
            await channel.queue_delete(room.queue)
        await until(lambda: room.queue in transport.link().reason, "the link tells which queue")
        await transport.declare(room.topology())
        await until(lambda: transport.link().ready, "it consumes again")
        await transport.publish([room.to_queue(b"2")])
        await basket.has(2)
        assert basket.bodies == [b"1", b"2"]
        consumer.ack(basket.handles(b"2"))
        await ended(consumer)
        await closed([transport])


async def test_broker_closes_connections(rabbitmq: RabbitNode, broker_url: str) -> None:
    """Connections closed by an operator reconnect; both carry the service's name."""
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        basket = Basket()
        consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
        names = await asyncio.to_thread(rabbitmq.ctl, "list_connections", "client_properties")
        assert f"{room.service} consumes" in names
        assert f"{room.service} publishes" in names
        await asyncio.to_thread(rabbitmq.ctl, "close_all_connections", "--global", "maintenance of the node")
        await until(lambda: consumer.epoch > 1, "the loss is noticed")
        await asyncio.wait_for(transport.until_ready(), PATIENCE)
        answers = await transport.publish([room.to_queue()])
        assert [one.verdict for one in answers] == [Verdict.CONFIRMED]
        await basket.has(1)
        consumer.ack(basket.handles())
        await ended(consumer)
        await closed([transport])


async def test_unsendable(rabbitmq: RabbitNode, broker_url: str) -> None:
    """RULES 1.6: what would break the connection for everybody is REFUSED before it is written."""
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        long = "k" * (MAX_SHORT_BYTES + 1)
        messages = [
            room.to_queue(),
            room.to_queue(b"", big="x" * MAX_HEADER_BYTES),
            Message(room.service, long, b"", "x"),
            room.to_queue(b"", far=2**63),
            room.to_queue(b"", **{"n" * 129: "x"}),
            room.to_queue(b"", near="x" * (MAX_HEADER_BYTES - 100)),
        ]
        answers = await transport.publish(messages)
        wanted = [Verdict.CONFIRMED, *[Verdict.REFUSED] * 4, Verdict.CONFIRMED]
        assert [one.verdict for one in answers] == wanted
        assert all(one.reason for one in answers[1:5])
        assert transport.link().ready
        await closed([transport])


async def test_no_permission(rabbitmq: RabbitNode, broker_url: str) -> None:
    """RULES 4.3: a publish without permission is REFUSED, declaring without it says how to get it."""
    room = Room()
    vhost = broker_url.rsplit("/", 1)[1]
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        await asyncio.to_thread(rabbitmq.ctl, "add_user", room.service, "word")
        mine = f"^{room.service}$"
        await asyncio.to_thread(rabbitmq.ctl, "set_permissions", "-p", vhost, room.service, "^$", mine, ".*")
        guest = RabbitTransport(
            broker_url.replace(f"{rabbitmq.user}:{rabbitmq.password}", f"{room.service}:word"), "guest"
        )
        await guest.open()
        await asyncio.wait_for(guest.until_ready(), PATIENCE)
        answers = await guest.publish([room.to_queue(), room.said(), room.to_queue()])
        assert [one.verdict for one in answers] == [Verdict.CONFIRMED, Verdict.REFUSED, Verdict.CONFIRMED]
        assert "ACCESS_REFUSED" in answers[1].reason
        with pytest.raises(ConfigError, match="configure"):
            await guest.declare(room.topology("other"))
        await closed([guest, transport])


async def test_flood_with_culprits(rabbitmq: RabbitNode, broker_url: str) -> None:
    """RULES 4.3: many large batches at once, some with a refused message: every verdict is right, the link stays up."""
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        bad = Message("no-such-exchange", "x", b"", "x")
        batches = [[room.to_queue(b"x" * 2000) for _ in range(60)] for _ in range(16)]
        for number in (0, 5, 11):
            batches[number][number] = bad
        answers = await asyncio.gather(*(transport.publish(batch) for batch in batches))
        for number, verdicts in enumerate(answers):
            refused = [index for index, one in enumerate(verdicts) if one.verdict is Verdict.REFUSED]
            assert refused == ([number] if number in {0, 5, 11} else [])
            assert {one.verdict for one in verdicts} <= {Verdict.CONFIRMED, Verdict.REFUSED}
        await closed([transport])


async def test_refused_messages_in_a_flood_of_calls(rabbitmq: RabbitNode, broker_url: str) -> None:
    """RULES 4.3: refused messages among many concurrent calls: exact verdicts, and the connection is kept."""
    room = Room()
    chance = random.Random(room.number)
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        since = transport.link().since

        async def calls(every: int) -> None:
            for number in range(CALLS):
                messages = [room.to_queue(b"x" * chance.choice((0, 10, 3000))) for _ in range(chance.choice((1, 2, 9)))]
                bad = chance.randrange(len(messages)) if number % every == 0 else None
                if bad is not None:
                    messages[bad] = Message("no-such-exchange", "x", b"", "x")
                answers = await transport.publish(messages)
                for index, answer in enumerate(answers):
                    assert answer.verdict is (Verdict.REFUSED if index == bad else Verdict.CONFIRMED), answer

        await asyncio.wait_for(asyncio.gather(*(calls(3 + caller % 7) for caller in range(CALLERS))), 2 * PATIENCE)
        assert transport.link()[:3] == (True, "", since)
        await closed([transport])


async def test_a_channel_number_is_free_again_though_the_write_queue_was_full(
    rabbitmq: RabbitNode, broker_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.3: the broker closes a channel while the write queue is full: its number can be used again."""
    end = ClientChannel._on_close_frame

    async def when_full(self: ClientChannel, frame: commands.Channel.Close) -> None:
        for _ in range(self.connection.FRAME_BUFFER_SIZE):
            with contextlib.suppress(asyncio.QueueFull):
                self.write_queue.put_nowait(ChannelFrame.marshall(0, [Heartbeat()]))
        await end(self, frame)

    monkeypatch.setattr(ClientChannel, "_on_close_frame", when_full)
    monkeypatch.setattr(connection, "CHANNEL_NUMBERS", 6)
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        since = transport.link().since
        for _ in range(8):
            answers = await transport.publish([room.to_queue(), Message("no-such-exchange", "x", b"", "x")])
            assert [one.verdict for one in answers] == [Verdict.CONFIRMED, Verdict.REFUSED]
        assert transport.link()[:3] == (True, "", since)
        await closed([transport])


async def test_killed_node(tmp_path: Path) -> None:
    """A node killed with SIGKILL and started again: confirmed messages are kept, consumers continue, acks settle."""
    room = Room()
    node = RabbitNode(tmp_path)
    try:
        await asyncio.to_thread(node.start)
        async with proxied(node, node.url()) as world:
            transport = await opened(world, room.service, room.topology())
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=100, deliver=basket)
            answers = await transport.publish([room.to_queue(body) for body in numbered(50)])
            assert {one.verdict for one in answers} == {Verdict.CONFIRMED}
            await basket.has(50)
            await asyncio.sleep(DIRECTORY_SECONDS)
            await asyncio.to_thread(node.kill)
            await until(lambda: not transport.link().ready, "the loss is noticed")
            answers = await transport.publish([room.to_queue(b"lost")])
            assert answers[0].verdict is Verdict.UNKNOWN
            await asyncio.to_thread(node.start)
            await asyncio.wait_for(transport.until_ready(), PATIENCE)
            await basket.has(100)
            assert sorted(basket.bodies[50:]) == sorted(numbered(50))
            consumer.ack(basket.handles())
            await until_depth(world, room.queue, 0)
            await ended(consumer)
            await closed([transport])
    finally:
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.stop)


async def test_nothing_left(rabbitmq: RabbitNode, broker_url: str, caplog: pytest.LogCaptureFixture) -> None:
    """Closed while connected, while connecting and while unreachable: no task remains, and no unretrieved error."""
    before = asyncio.all_tasks()
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        transport = await opened(world, room.service, room.topology())
        await transport.consume(room.queue, prefetch=10, deliver=Basket())
        await transport.publish([room.to_queue() for _ in range(10)])
        await world.cut(room.service)
        await asyncio.wait_for(transport.until_ready(), PATIENCE)
        await transport.close()
        connecting = await world.transport(room.service)
        await connecting.open()
        await asyncio.sleep(0)
        await connecting.close()
    away = RabbitTransport(f"amqp://u:p@127.0.0.1:{free_ports(1)[0]}/", "away")
    await away.open()
    waiting = asyncio.create_task(away.until_ready())
    await until(lambda: "does not answer" in away.link().reason, "it tried")
    await away.close()
    await asyncio.gather(waiting, return_exceptions=True)
    await until(lambda: asyncio.all_tasks() <= before, "every task has ended")
    gc.collect()
    assert "never retrieved" not in caplog.text
    assert "pending" not in caplog.text


async def test_declares_only_once_up(rabbitmq: RabbitNode, broker_url: str) -> None:
    """Each reconnect runs `on_ready` again: what was deleted meanwhile is declared before consumers start."""
    room = Room()
    async with proxied(rabbitmq, broker_url) as world:
        proxy = await world.proxy(room.service)
        transport = await opened(world, room.service, room.topology())
        basket = Basket()
        consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
        proxy.down()
        await until(lambda: consumer.epoch > 1, "the loss is noticed")
        admin = await aio_pika.connect(broker_url)
        async with admin, admin.channel() as channel:
            await channel.queue_delete(room.queue)
        await proxy.up()
        await asyncio.wait_for(transport.until_ready(), PATIENCE)
        await transport.publish([room.to_queue(b"1")])
        await basket.has(1)
        await ended(consumer)
        await transport.declare(Topology())
        await closed([transport])
