"""The contract of transports: lost connections, withheld confirms, alarms."""

import asyncio
from contextlib import AbstractAsyncContextManager

from hocket.broker.port import Verdict
from hocket.testing.transport_contract.world import (
    PATIENCE,
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


class FaultsContract:
    """What a driver does when the broker or the network fails."""

    def world(self) -> AbstractAsyncContextManager[World]:
        """The broker under test; override it."""
        raise NotImplementedError("a driver's test overrides `world`")

    async def test_old_epoch(self) -> None:
        """RULES 1.1: after a reconnect the epoch is higher and an ack of an older one settles nothing."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await transport.publish([room.to_queue(body) for body in numbered(2)])
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
            await basket.has(2)
            old, epoch = basket.handles(), consumer.epoch
            await world.cut(room.service)
            await basket.has(4)
            assert consumer.epoch > epoch
            assert [one.handle.epoch for one in basket.all[2:]] == [consumer.epoch] * 2
            assert {handle.tag for handle in old} == {one.handle.tag for one in basket.all[2:]}
            consumer.ack(old)
            consumer.give_back(old)
            await never(lambda: len(basket) > 4, "a handle of an older epoch moved a delivery of the new one")
            assert await world.depth(room.queue) == 2
            consumer.ack(basket.handles())
            await until_depth(world, room.queue, 0)
            await ended(consumer)
            await closed([transport])

    async def test_redelivered(self) -> None:
        """After a cut unsettled deliveries arrive again, marked redelivered, with the same id and body."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await transport.publish([room.to_queue(b"1", a="b")])
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
            await basket.has(1)
            await world.cut(room.service)
            await basket.has(2)
            first, second = basket.all
            assert (first.redelivered, second.redelivered) == (False, True)
            assert (first.message_id, first.body) == (second.message_id, second.body)
            assert second.headers["a"] == "b"
            consumer.ack([second.handle])
            await ended(consumer)
            await until_depth(world, room.queue, 0)
            await closed([transport])

    async def test_depth(self) -> None:
        """What waits in a queue and how many consume it; a queue that is not there is None, and nothing is declared."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await transport.publish([room.to_queue(body) for body in numbered(3)])
            await until_depth(world, room.queue, 3)
            assert await transport.depth(room.queue) == (3, 0)
            assert await transport.depth(f"{room.queue}-of-nobody") is None
            assert await transport.depth(f"{room.queue}-of-nobody") is None
            consumer = await transport.consume(room.queue, prefetch=1, deliver=Basket())
            found = await transport.depth(room.queue)
            assert found is not None
            assert found.consumers == 1
            await consumer.cancel()
            await closed([transport])

    async def test_remove(self) -> None:
        """A queue is deleted with what waits in it, unless somebody consumes it; one that is gone is no error."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await transport.publish([room.to_queue(body) for body in numbered(3)])
            await until_depth(world, room.queue, 3)
            consumer = await transport.consume(room.queue, prefetch=1, deliver=Basket())
            assert await transport.remove(room.queue) is False
            await consumer.cancel()
            await consumer.close()
            assert await transport.remove(room.queue) is True
            assert await transport.depth(room.queue) is None
            assert await transport.remove(room.queue) is True
            await closed([transport])

    async def test_unknown(self) -> None:
        """A connection lost before the answer: UNKNOWN, it may have arrived; the next publish is confirmed."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await world.withhold(room.service, True)
            under_way = asyncio.create_task(transport.publish([room.to_queue(body) for body in numbered(3)]))
            await until_depth(world, room.queue, 3)
            assert not under_way.done()
            await world.cut(room.service)
            answers = await asyncio.wait_for(under_way, PATIENCE)
            assert [one.verdict for one in answers] == [Verdict.UNKNOWN] * 3
            assert all(one.reason for one in answers)
            await world.withhold(room.service, False)
            await asyncio.wait_for(transport.until_ready(), PATIENCE)
            assert (await transport.publish([room.to_queue()]))[0].verdict is Verdict.CONFIRMED
            await closed([transport])

    async def test_close_ends_publishes(self) -> None:
        """`close` ends pending publishes: UNKNOWN."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await world.withhold(room.service, True)
            under_way = asyncio.create_task(transport.publish([room.to_queue()]))
            await until_depth(world, room.queue, 1)
            closing = asyncio.create_task(transport.close())
            answers = await asyncio.wait_for(under_way, PATIENCE)
            assert [one.verdict for one in answers] == [Verdict.UNKNOWN]
            await world.withhold(room.service, False)
            await asyncio.wait_for(closing, PATIENCE)

    async def test_alarm(self) -> None:
        """RULES 4.4: while the broker blocks publishers a publish waits, the link says so, no copy is made."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            await transport.publish([room.to_queue(b"before")])
            await world.alarm(True)
            try:
                calls = [asyncio.create_task(transport.publish([room.to_queue(b"%d" % number)])) for number in range(3)]
                await until(lambda: not transport.link().ready, "the link tells of the alarm")
                assert "alarm" in transport.link().reason
                await never(lambda: any(call.done() for call in calls), "a publish ended during the alarm")
                basket = Basket()
                consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
                await basket.has(1)
                consumer.ack(basket.handles())
            finally:
                await world.alarm(False)
            answers = [answer for call in calls for answer in await asyncio.wait_for(call, PATIENCE)]
            assert [one.verdict for one in answers] == [Verdict.CONFIRMED] * 3
            await basket.has(4)
            await never(lambda: len(basket) > 4, "the alarm made a copy")
            assert basket.bodies == [b"before", b"0", b"1", b"2"]
            await until(lambda: transport.link().ready, "the link is ready again")
            consumer.ack(basket.handles())
            await ended(consumer)
            await closed([transport])

    async def test_before_the_link(self) -> None:
        """`consume` may be called before the link is up; `on_ready` has run before the first delivery, each time."""
        room = Room()
        async with self.world() as world:
            transport = await world.transport(room.service)
            events: list[str] = []

            async def declares() -> None:
                await transport.declare(room.topology())
                events.append("ready")

            transport.on_ready(declares)
            await transport.open()
            consumer = await asyncio.wait_for(
                transport.consume(room.queue, prefetch=1, deliver=lambda one: events.append(one.body.decode())),
                PATIENCE,
            )
            await transport.until_ready()
            await transport.publish([room.to_queue(b"one")])
            await until(lambda: "one" in events, "the delivery")
            await world.cut(room.service)
            await until(lambda: events.count("one") == 2, "the delivery again")
            assert events[0] == "ready"
            assert "ready" in events[events.index("one") + 1 : -1]
            await ended(consumer)
            await closed([transport])

    async def test_many_cuts(self) -> None:
        """Cut repeatedly while events flow: each arrives, and the last ack settles the last."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            seen: set[bytes] = set()
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=50, deliver=basket)
            for turn in range(4):
                left = [room.to_queue(body) for body in numbered(20, turn * 20)]
                while left:
                    await asyncio.wait_for(transport.until_ready(), PATIENCE)
                    answers = await transport.publish(left)
                    left = [one for one, said in zip(left, answers, strict=True) if said.verdict != "confirmed"]
                consumer.ack(basket.handles())
                seen.update(basket.bodies)
                await world.cut(room.service)
            end = asyncio.get_running_loop().time() + PATIENCE
            while await world.depth(room.queue) or {*seen, *basket.bodies} < set(numbered(80)):
                consumer.ack(basket.handles())
                assert asyncio.get_running_loop().time() < end, "the queue does not run empty"
                await asyncio.sleep(0.05)
            await ended(consumer)
            await closed([transport])
