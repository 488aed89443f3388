"""The contract of transports: prefetch, acks, returning deliveries, stopping."""

import random
from contextlib import AbstractAsyncContextManager

from hocket.broker.port import Transport
from hocket.broker.topology import DEAD, Binding, Queue, Topology
from hocket.testing.transport_contract.world import (
    Basket,
    Room,
    World,
    closed,
    ended,
    never,
    numbered,
    opened,
    until,
    until_depth,
)


class SettlingContract:
    """One consumer and its handles."""

    def world(self) -> AbstractAsyncContextManager[World]:
        """The broker under test; override it."""
        raise NotImplementedError("a driver's test overrides `world`")

    @staticmethod
    async def filled(world: World, room: Room, count: int) -> Transport:
        """A transport whose queue has messages 0, 1, 2 …"""
        transport = await opened(world, room.service, room.topology())
        answers = await transport.publish([room.to_queue(body) for body in numbered(count)])
        assert all(answer.verdict == "confirmed" for answer in answers)
        return transport

    async def test_prefetch(self) -> None:
        """Never more unsettled than the prefetch; each ack lets one more arrive; the order is the queue's."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 9)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=3, deliver=basket)
            await basket.has(3)
            await never(lambda: len(basket) > 3, "more came than the prefetch allows")
            consumer.ack(basket.handles(b"1"))
            await basket.has(4)
            await never(lambda: len(basket) > 4, "one ack brought more than one")
            consumer.ack(basket.handles(b"0", b"2", b"3"))
            await basket.has(7)
            assert basket.bodies == numbered(7)
            await ended(consumer)
            await closed([transport])

    async def test_limit(self) -> None:
        """`limit` lowers, stops and raises the prefetch; earlier deliveries can still be settled, none is lost."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 20)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=4, deliver=basket)
            await basket.has(4)
            consumer.limit(0)
            await never(lambda: len(basket) > 4, "more came though nothing was settled")
            consumer.ack(basket.handles(b"0", b"2"))
            await until_depth(world, room.queue, 18)
            await never(lambda: len(basket) > 4, "something came though the limit is 0")
            consumer.ack(basket.handles(b"1", b"3"))
            consumer.limit(2)
            await basket.has(6)
            await never(lambda: len(basket) > 6, "more came than the limit allows")
            consumer.ack(basket.handles(b"4"))
            await basket.has(7)
            await never(lambda: len(basket) > 7, "one ack brought more than one")
            consumer.limit(50)
            await basket.has(20)
            assert basket.bodies == numbered(20)
            assert len(set(basket.handles())) == 20
            consumer.ack(basket.handles())
            await until_depth(world, room.queue, 0)
            await ended(consumer)
            await closed([transport])

    async def test_limit_at_once(self) -> None:
        """Of several limits at once the last one counts, also after a cut; a cancelled consumer stays cancelled."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 20)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=1, deliver=basket)
            await basket.has(1)
            consumer.limit(9)
            consumer.limit(0)
            await never(lambda: len(basket) > 1, "the first limit stood")
            consumer.ack(basket.handles())
            await until_depth(world, room.queue, 19)
            consumer.limit(9)
            consumer.limit(3)
            await basket.has(4)
            await never(lambda: len(basket) > 4, "more came than the last limit allows")
            await world.cut(room.service)
            await basket.has(7)
            await never(lambda: len(basket) > 7, "more came after the cut than the last limit allows")
            assert basket.bodies == [b"0", *numbered(3, 1), *numbered(3, 1)]
            await consumer.cancel()
            consumer.limit(9)
            consumer.ack(basket.handles())
            await until_depth(world, room.queue, 16)
            await never(lambda: len(basket) > 7, "a limit woke a cancelled consumer")
            await ended(consumer)
            await closed([transport])

    async def test_acks_join_only_contiguous(self) -> None:
        """RULES 1.1: acks of finished tags never settle an unfinished one between them."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 10)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=20, deliver=basket)
            await basket.has(10)
            consumer.ack(basket.handles(b"0", b"1", b"2", b"4", b"5", b"8"))
            consumer.ack(basket.handles(b"8", b"0"))
            await until_depth(world, room.queue, 4)
            consumer.ack(basket.handles(b"3"))
            await until_depth(world, room.queue, 3)
            await ended(consumer)
            again = Basket()
            second = await transport.consume(room.queue, prefetch=20, deliver=again)
            await again.has(3)
            assert sorted(again.bodies) == [b"6", b"7", b"9"]
            second.ack(again.handles())
            await ended(second)
            await until_depth(world, room.queue, 0)
            await closed([transport])

    async def test_give_back(self) -> None:
        """RULES 1.3: a returned delivery is delivered again, before messages that wait."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 4)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=2, deliver=basket)
            await basket.has(2)
            await consumer.cancel()
            consumer.give_back(basket.handles())
            await consumer.close()
            again = Basket()
            second = await transport.consume(room.queue, prefetch=4, deliver=again)
            await again.has(4)
            assert again.bodies == numbered(4)
            assert [one.redelivered for one in again.all] == [True, True, False, False]
            second.ack(again.handles())
            await ended(second)
            await closed([transport])

    async def test_cancel(self) -> None:
        """After `cancel` nothing arrives; earlier deliveries can still be settled."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 3)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
            await basket.has(3)
            await consumer.cancel()
            await transport.publish([room.to_queue(b"late")])
            await never(lambda: len(basket) > 3, "a delivery came after cancel")
            consumer.ack(basket.handles())
            await until_depth(world, room.queue, 1)
            await consumer.close()
            await closed([transport])

    async def test_stop_loses_no_ack(self) -> None:
        """RULES 1.2: cancel, settle, close at once: no ack is lost, in any order of acks."""
        room = Room()
        chance = random.Random(room.number)
        async with self.world() as world:
            transport = await self.filled(world, room, 2000)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=2000, deliver=basket)
            await basket.has(2000)
            handles = basket.handles()
            for start in range(0, 2000, 500):
                portion = handles[start : start + 500]
                chance.shuffle(portion)
                consumer.ack(portion[:250])
                consumer.ack(portion[250:])
            await ended(consumer)
            await until_depth(world, room.queue, 0)
            again = Basket()
            second = await transport.consume(room.queue, prefetch=10, deliver=again)
            await never(lambda: len(again) > 0, "an acked message came again after a clean stop")
            await ended(second)
            await closed([transport])

    async def test_close_gives_back(self) -> None:
        """What was not settled before `close` is delivered again; an ack after it is ignored."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 2)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
            await basket.has(2)
            epoch = consumer.epoch
            await ended(consumer)
            assert consumer.epoch > epoch
            consumer.ack(basket.handles())
            again = Basket()
            second = await transport.consume(room.queue, prefetch=10, deliver=again)
            await again.has(2)
            assert all(one.redelivered for one in again.all)
            second.ack(again.handles())
            await ended(second)
            await closed([transport])

    async def test_competing(self) -> None:
        """Two consumers share one queue: each message goes to one of them."""
        room = Room()
        async with self.world() as world:
            transport = await self.filled(world, room, 0)
            other = await opened(world, f"{room.service}-b", Topology())
            left, right = Basket(), Basket()
            first = await transport.consume(room.queue, prefetch=5, deliver=left)
            second = await other.consume(room.queue, prefetch=5, deliver=right)
            await transport.publish([room.to_queue(body) for body in numbered(10)])
            await until(lambda: len(left) + len(right) >= 10, "all ten have arrived")
            assert sorted(left.bodies + right.bodies) == numbered(10)
            assert len(left) == len(right) == 5
            first.ack(left.handles())
            second.ack(right.handles())
            await ended(first, second)
            await until_depth(world, room.queue, 0)
            await closed([other, transport])

    async def test_delivery_limit(self) -> None:
        """Beyond its delivery limit a message is dead-lettered with its history; the body is unchanged."""
        room = Room()
        queue = Queue(
            f"{room.service}.brief",
            {
                "x-queue-type": "quorum",
                "x-delivery-limit": 2,
                "x-dead-letter-exchange": DEAD,
                "x-dead-letter-routing-key": f"{room.service}.brief",
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        )
        letters = Queue(f"{room.service}.letters", {"x-queue-type": "quorum"})
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology() + Topology(queues=(queue, letters)))
            ways = (Binding(room.service, queue.name, queue.name), Binding(DEAD, letters.name, queue.name))
            await transport.declare(Topology(bindings=ways))
            await transport.publish([room.to_queue(b"poison")._replace(routing_key=queue.name)])
            basket = Basket()
            consumer = await transport.consume(queue.name, prefetch=1, deliver=basket)
            for times in (1, 2, 3):
                await basket.has(times)
                await world.cut(room.service)
            found = Basket()
            reader = await transport.consume(letters.name, prefetch=1, deliver=found)
            await found.has(1)
            assert len(basket) == 3
            assert found.bodies == [b"poison"]
            assert found.all[0].routing_key == queue.name
            deaths = found.all[0].headers["x-death"]
            assert isinstance(deaths, list)
            assert (deaths[0]["queue"], deaths[0]["reason"]) == (queue.name, "delivery_limit")
            reader.ack(found.handles())
            await ended(consumer, reader)
            await closed([transport])
