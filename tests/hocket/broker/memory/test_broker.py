"""What the broker in memory offers beyond the contract: detecting idleness, inspection, faults."""

import asyncio

import pytest

from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.memory.routing import matches
from hocket.broker.port import Verdict
from hocket.broker.topology import LOG, Binding
from hocket.errors import ConfigError, TransportError
from hocket.testing.transport_contract.world import Basket, Room, ended, numbered


async def shop(broker: MemoryBroker, room: Room) -> MemoryTransport:
    """A transport that is ready."""
    transport = MemoryTransport(broker, room.service)
    transport.on_ready(lambda: transport.declare(room.topology()))
    await transport.open()
    await transport.until_ready()
    return transport


async def rest(broker: MemoryBroker) -> None:
    """Return when the broker is idle, without a clock."""
    while not broker.idle():
        await broker.changed()


async def test_idle_is_detected() -> None:
    """`idle` and `changed` detect idleness without a timer: after the last ack, not before."""
    broker, room = MemoryBroker(), Room()
    transport = await shop(broker, room)
    await rest(broker)
    under_way = asyncio.ensure_future(transport.publish([room.said(body) for body in numbered(5)]))
    await asyncio.sleep(0)
    assert not broker.idle()
    await under_way
    await rest(broker)
    assert (broker.depth(room.queue), broker.depth(LOG)) == (5, 5)
    basket = Basket()
    consumer = await transport.consume(room.queue, prefetch=2, deliver=basket)
    assert not broker.idle()
    while not broker.idle():
        consumer.ack(basket.handles())
        await broker.changed()
    assert basket.bodies == numbered(5)
    assert [one.body for one in broker.messages(LOG)] == numbered(5)
    await ended(consumer)
    await transport.close()


async def test_blocked_publishes_count_as_idle() -> None:
    """A publish held back by an alarm or withheld confirms counts as idle: only the test can let it continue."""
    broker, room = MemoryBroker(), Room()
    transport = await shop(broker, room)
    broker.alarm(True)
    parked = asyncio.ensure_future(transport.publish([room.to_queue()]))
    await asyncio.sleep(0)
    await rest(broker)
    assert broker.depth(room.queue) == 0
    broker.alarm(False)
    broker.drop_confirms()
    await asyncio.sleep(0)
    await rest(broker)
    assert broker.depth(room.queue) == 1
    assert not parked.done()
    broker.drop_confirms(False)
    assert (await parked)[0].verdict is Verdict.CONFIRMED
    await transport.close()


async def test_cut_until_reconnected() -> None:
    """Cut without healing: UNKNOWN at once and a link that says so, until `reconnect`."""
    broker, room = MemoryBroker(), Room()
    transport = await shop(broker, room)
    broker.cut(room.service, heal=False)
    assert not transport.link().ready
    assert (await transport.publish([room.to_queue()]))[0].verdict is Verdict.UNKNOWN
    broker.reconnect(room.service)
    await transport.until_ready()
    assert transport.link().ready
    broker.nack_next(1)
    answers = await transport.publish([room.to_queue(), room.to_queue()])
    assert [one.verdict for one in answers] == [Verdict.NACKED, Verdict.CONFIRMED]
    await transport.close()


async def test_truncated_stream() -> None:
    """RULES 7.2: a stream that dropped its first offsets continues with the first kept one."""
    broker, room = MemoryBroker(), Room()
    transport = await shop(broker, room)
    await transport.publish([room.said(body) for body in numbered(6)])
    broker.truncate(LOG, 4)
    basket = Basket()
    consumer = await transport.consume(LOG, prefetch=10, deliver=basket, offset=1)
    while len(basket) < 2:
        await broker.changed()
    assert [one.offset for one in basket.all] == [4, 5]
    consumer.ack(basket.handles())
    await ended(consumer)
    with pytest.raises(ConfigError, match="queue"):
        broker.truncate(room.queue, 1)
    await transport.close()


async def test_names() -> None:
    """Two transports of one name, an unknown queue, an error in `on_ready`: each is a clear error."""
    broker, room = MemoryBroker(), Room()
    transport = await shop(broker, room)
    assert room.queue in broker.names()
    with pytest.raises(ConfigError, match=room.service):
        await MemoryTransport(broker, room.service).open()
    with pytest.raises(ConfigError, match=r"no\.such"):
        broker.depth("no.such")
    broken = MemoryTransport(broker, "broken")

    async def mistake() -> None:
        raise ZeroDivisionError

    broken.on_ready(mistake)
    await broken.open()
    with pytest.raises(ZeroDivisionError):
        await broken.until_ready()
    await broken.close()
    await transport.close()
    with pytest.raises(TransportError):
        await transport.until_ready()


async def test_unbound() -> None:
    """A removed binding routes nothing."""
    broker, room = MemoryBroker(), Room()
    transport = await shop(broker, room)
    broker.unbind(Binding(room.service, room.queue, room.queue))
    assert (await transport.publish([room.to_queue()]))[0].verdict is Verdict.RETURNED
    await transport.close()


@pytest.mark.parametrize(
    ("pattern", "key", "takes"),
    [
        ("#", "", True),
        ("#", "a.b.v1", True),
        ("a.*.v1", "a.b.v1", True),
        ("a.*.v1", "a.v1", False),
        ("a.#.v1", "a.v1", True),
        ("a.#.v1", "a.b.c.v1", True),
        ("a.b.v1", "a.b.v2", False),
        ("*", "", False),
    ],
)
def test_topic(pattern: str, key: str, takes: bool) -> None:
    """Topic patterns match as in AMQP."""
    assert matches(pattern, key) is takes
