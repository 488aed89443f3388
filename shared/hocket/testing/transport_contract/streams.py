"""The contract of transports: streams (RULES 7)."""

from contextlib import AbstractAsyncContextManager

from hocket.broker.port import Transport
from hocket.broker.topology import Binding, Queue, Topology
from hocket.testing.transport_contract.world import Basket, Room, World, closed, ended, never, numbered, opened, until

STREAM = {"x-queue-type": "stream"}


class StreamsContract:
    """Offsets, credit, continuing after a cut."""

    def world(self) -> AbstractAsyncContextManager[World]:
        """The broker under test; override it."""
        raise NotImplementedError("a driver's test overrides `world`")

    @staticmethod
    async def streaming(world: World, room: Room, count: int) -> tuple[Transport, str]:
        """A transport and the name of a stream that has messages 0, 1, 2 …, each published separately.

        RabbitMQ sends messages that were stored together at once, even beyond the credit.
        """
        name = f"{room.service}.stream"
        own = Topology(queues=(Queue(name, dict(STREAM)),), bindings=(Binding(room.service, name, room.queue),))
        transport = await opened(world, room.service, room.topology() + own)
        for body in numbered(count):
            await transport.publish([room.to_queue(body)])
        return transport, name

    async def test_offsets(self) -> None:
        """Offsets start at 0; None starts at the oldest kept message, a number at that one; each reader has its own."""
        room = Room()
        async with self.world() as world:
            transport, stream = await self.streaming(world, room, 30)
            whole, part = Basket(), Basket()
            first = await transport.consume(stream, prefetch=100, deliver=whole)
            second = await transport.consume(stream, prefetch=100, deliver=part, offset=20)
            await whole.has(30)
            await part.has(10)
            assert [one.offset for one in whole.all] == list(range(30))
            assert whole.bodies == numbered(30)
            assert part.bodies == numbered(10, 20)
            await never(lambda: len(whole) > 30 or len(part) > 10, "a reader got more than there is")
            await ended(first, second)
            await closed([transport])

    async def test_undeclared(self) -> None:
        """A process that has not declared a stream or queue can consume both; the stream from its first message."""
        room = Room()
        async with self.world() as world:
            transport, stream = await self.streaming(world, room, 3)
            stranger = await opened(world, f"{room.service}-b", Topology())
            basket, taken = Basket(), Basket()
            reader = await stranger.consume(stream, prefetch=10, deliver=basket)
            taker = await stranger.consume(room.queue, prefetch=10, deliver=taken)
            await basket.has(3)
            await taken.has(3)
            assert [one.offset for one in taken.all] == [None] * 3
            taker.ack(taken.handles())
            await ended(reader, taker)
            await closed([stranger, transport])

    async def test_credit(self) -> None:
        """Each ack is credit: never more unsettled than the prefetch."""
        room = Room()
        async with self.world() as world:
            transport, stream = await self.streaming(world, room, 30)
            basket = Basket()
            consumer = await transport.consume(stream, prefetch=5, deliver=basket)
            await basket.has(5)
            await never(lambda: len(basket) > 5, "more came than the prefetch allows")
            consumer.ack(basket.handles())
            await basket.has(10)
            await never(lambda: len(basket) > 10, "more came than was settled")
            await ended(consumer)
            await closed([transport])

    async def test_goes_on_after_a_cut(self) -> None:
        """After a reconnect it continues after the last delivered offset: no gap, nothing twice."""
        room = Room()
        async with self.world() as world:
            transport, stream = await self.streaming(world, room, 20)
            basket = Basket()
            consumer = await transport.consume(stream, prefetch=8, deliver=basket, offset=5)
            await basket.has(8)
            await world.cut(room.service)
            done = 8
            while len(basket) < 15:
                await basket.has(done + 1)
                done = len(basket)
                consumer.ack(basket.handles())
            assert [one.offset for one in basket.all] == list(range(5, 20))
            await until(lambda: consumer.epoch > 1, "the loss is noticed")
            await transport.until_ready()
            await transport.publish([room.to_queue(b"new")])
            await basket.has(16)
            assert basket.all[-1].offset == 20
            await ended(consumer)
            await closed([transport])
