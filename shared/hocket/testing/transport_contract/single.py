"""The contract of transports: queues that one consumer takes at a time, and what hand-overs do to their order."""

from contextlib import AbstractAsyncContextManager

from hocket.broker.port import Transport
from hocket.broker.topology import kit, of_service
from hocket.delivery.ordering.gather import in_order, times_returned
from hocket.testing.transport_contract.world import (
    Basket,
    Room,
    World,
    closed,
    ended,
    never,
    numbered,
    opened,
    until_depth,
)


class SingleContract:
    """Single active consumers that leave the queue only with their channel (RULES 9.1 to 9.3)."""

    def world(self) -> AbstractAsyncContextManager[World]:
        """The broker under test; override it."""
        raise NotImplementedError("a driver's test overrides `world`")

    @staticmethod
    async def lined_up(world: World, room: Room, count: int) -> Transport:
        """A transport whose ordered queue has messages 0, 1, 2 …"""
        own = of_service(room.service, [(room.queue, [])], ordered=(room.queue,))
        transport = await opened(world, room.service, kit() + own)
        await transport.publish([room.to_queue(body) for body in numbered(count)])
        return transport

    async def test_one_at_a_time(self) -> None:
        """RULES 9.1, 9.3: the second gets nothing while the first is there, cancelled or not; then all, in order."""
        room = Room()
        async with self.world() as world:
            transport = await self.lined_up(world, room, 6)
            left, right = Basket(), Basket()
            first = await transport.consume(room.queue, prefetch=3, deliver=left, whole=True)
            second = await transport.consume(room.queue, prefetch=9, deliver=right, whole=True)
            await left.has(3)
            first.ack(left.handles(b"0"))
            await left.has(4)
            await first.cancel()
            first.limit(9)
            first.give_back(left.handles(b"1"))
            await never(lambda: len(right) > 0 or len(left) > 4, "a cancelled whole consumer has let go of its queue")
            first.ack(left.handles(b"1"))
            await first.close()
            await right.has(4)
            assert right.bodies == numbered(4, 2)
            assert [times_returned(one.headers) for one in right.all][:2] == [1, 1]
            assert times_returned(right.all[-1].headers) == 0
            second.ack(right.handles())
            await until_depth(world, room.queue, 0)
            await ended(second)
            await closed([transport])

    async def test_two_hand_overs_reorder_and_the_sort_restores(self) -> None:
        """RULES 9.2: what returns stands behind what returned before, and is told by how often it came back."""
        room = Room()
        async with self.world() as world:
            transport = await self.lined_up(world, room, 6)
            for prefetch in (4, 2):
                basket = Basket()
                consumer = await transport.consume(room.queue, prefetch=prefetch, deliver=basket, whole=True)
                await basket.has(prefetch)
                assert basket.bodies == numbered(prefetch)
                await ended(consumer)
            last = Basket()
            consumer = await transport.consume(room.queue, prefetch=9, deliver=last, whole=True)
            await last.has(6)
            assert last.bodies == [b"2", b"3", b"0", b"1", b"4", b"5"]
            assert [one.body for one in in_order(last.all)] == numbered(6)
            consumer.ack(last.handles())
            await ended(consumer)
            await closed([transport])

    async def test_a_renewed_channel(self) -> None:
        """RULES 9.1: its epoch is higher, what it held goes to the other in order, and it is asked about truly."""
        room = Room()
        async with self.world() as world:
            transport = await self.lined_up(world, room, 5)
            left, right = Basket(), Basket()
            first = await transport.consume(room.queue, prefetch=3, deliver=left, whole=True)
            await left.has(3)
            second = await transport.consume(room.queue, prefetch=9, deliver=right, whole=True)
            assert await first.known()
            epoch = first.epoch
            await first.renew()
            await right.has(5)
            assert first.epoch > epoch
            assert right.bodies == numbered(5)
            first.ack(left.handles())
            second.ack(right.handles())
            await until_depth(world, room.queue, 0)
            await ended(first, second)
            assert not await second.known()
            await closed([transport])

    async def test_unbound(self) -> None:
        """RULES 9.10: a queue that is unbound gets nothing more; unbinding twice is no error."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await transport.publish([room.said(b"0")])
            await until_depth(world, room.queue, 1)
            bindings = [each for each in room.topology().bindings if each.key == room.key and not each.to_exchange]
            await transport.unbind(bindings)
            await transport.unbind(bindings)
            await transport.publish([room.said(b"1"), room.to_queue(b"2")])
            await until_depth(world, room.queue, 2)
            await closed([transport])
