"""What the broker in memory offers beyond the contract: rest, a look inside, faults."""

import asyncio

import pytest

from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.memory.routing import matches
from hocket.broker.port import Verdict
from hocket.broker.topology import LOG, Binding
from hocket.errors import ConfigError, TransportError
from hocket.testing.transport_contract.world import Basket, Room, ended, numbered


async def shop(broker: MemoryBroker, room: Room) -> MemoryTransport:
    """A transport that is up."""
    transport = MemoryTransport(broker, room.service)
    transport.on_ready(lambda: transport.declare(room.topology()))
    await transport.open()
    await transport.until_ready()
    return transport


async def rest(broker: MemoryBroker) -> None:
    """Return when nothing moves any more: no clock is asked."""
    while not broker.idle():
        await broker.changed()


async def test_rest_is_known() -> None:
    """`idle` and `changed` tell quiet without a timer: after the last ack, not before."""
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


async def test_alarm_is_rest() -> None:
    """A publish that an alarm or withheld answers hold back is at rest: only the test moves it."""
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


async def test_down_and_mended() -> None:
    """Cut for good: UNKNOWN at once, the link says so, until mended."""
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
    """RULES 7.2: a stream that forgot its first offsets goes on with the first kept one."""
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
    """Two transports of one name, an unknown queue, a mistake in `on_ready`: each is said."""
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
    """A binding that was removed hears nothing."""
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
    """Topic patterns as AMQP has them."""
    assert matches(pattern, key) is takes
