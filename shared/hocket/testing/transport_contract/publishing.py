"""The contract of transports: routing, and the verdicts that publishers get."""

import asyncio
from contextlib import AbstractAsyncContextManager

from hocket.broker.port import Message, Verdict
from hocket.broker.topology import HEARD, LOG, UNHEARD, Binding, Exchange, Queue, Topology
from hocket.errors import ConfigError, TransportError
from hocket.testing.transport_contract.world import (
    Basket,
    Room,
    World,
    closed,
    ended,
    numbered,
    opened,
    until,
    until_depth,
)


class PublishingContract:
    """Routing, verdicts, properties, declaring."""

    def world(self) -> AbstractAsyncContextManager[World]:
        """The broker under test; override it."""
        raise NotImplementedError("a driver's test overrides `world`")

    async def test_fan_out(self) -> None:
        """An event reaches each subscription that hears it once, and the log."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology("mail"))
            logged = await world.depth(LOG)
            verdicts = await transport.publish([room.said(b"1")])
            assert [one.verdict for one in verdicts] == [Verdict.CONFIRMED]
            for queue in (room.queue, f"{room.service}.mail"):
                basket = Basket()
                consumer = await transport.consume(queue, prefetch=10, deliver=basket)
                await basket.has(1)
                consumer.ack(basket.handles())
                await ended(consumer)
                assert [(one.body, one.routing_key, one.queue) for one in basket.all] == [(b"1", room.key, queue)]
                await until_depth(world, queue, 0)
            await until_depth(world, LOG, logged + 1)
            await closed([transport])

    async def test_unheard(self) -> None:
        """An event that nobody hears is confirmed and kept in `hocket.unheard`: no error of the publisher."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology(hears=False))
            before = await world.depth(UNHEARD)
            assert [one.verdict for one in await transport.publish([room.said()])] == [Verdict.CONFIRMED]
            await until_depth(world, UNHEARD, before + 1)
            await closed([transport])

    async def test_returned(self) -> None:
        """RULES 1.5: a message that no queue matches is RETURNED, the others are confirmed, the order is kept."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            nowhere = Message(room.service, "nobody", b"", "x")
            answers = await transport.publish([room.to_queue(), nowhere, room.to_queue()])
            assert [one.verdict for one in answers] == [Verdict.CONFIRMED, Verdict.RETURNED, Verdict.CONFIRMED]
            assert answers[1].reason
            await until_depth(world, room.queue, 2)
            await closed([transport])

    async def test_refused(self) -> None:
        """RULES 4.3: what the broker can never accept is REFUSED in its words, all other messages are confirmed."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            messages = [room.to_queue(body) for body in numbered(20)]
            messages[3] = Message("no-such-exchange", "x", b"", "x")
            messages[11] = room.to_queue(bytes(world.max_message_bytes + 1))
            answers = await transport.publish(messages)
            refused = [index for index, one in enumerate(answers) if one.verdict is Verdict.REFUSED]
            assert refused == [3, 11]
            assert sum(one.verdict is Verdict.CONFIRMED for one in answers) == 18
            assert "no-such-exchange" in answers[3].reason
            assert "max" in answers[11].reason
            after = await transport.publish([room.to_queue()])
            assert after[0].verdict is Verdict.CONFIRMED
            await closed([transport])

    async def test_many_calls_at_once(self) -> None:
        """Several publishes pending at once get their own verdicts, also when one of them is refused."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            nowhere = Message(room.service, "nobody", b"", "x")
            bad = Message("no-such-exchange", "x", b"", "x")
            calls = [[room.to_queue(), nowhere] if number % 7 else [room.to_queue(), bad] for number in range(40)]
            answers = await asyncio.gather(*(transport.publish(call) for call in calls))
            for number, (first, second) in enumerate(answers):
                assert first.verdict is Verdict.CONFIRMED
                assert second.verdict is (Verdict.RETURNED if number % 7 else Verdict.REFUSED)
            await closed([transport])

    async def test_as_sent(self) -> None:
        """RULES 4.4: body, headers and content type arrive as sent; each publish of the same has a new message id."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            big = bytes(range(256)) * 2500
            sent: dict[str, str | int] = {"hocket-attempt": 3, "traceparent": "00-é-01", "far": -(2**62)}
            messages = [Message(room.service, room.queue, body, "text/plain", sent, type="a.b") for body in (b"", big)]
            await transport.publish(messages)
            await transport.publish(messages)
            basket = Basket()
            consumer = await transport.consume(room.queue, prefetch=10, deliver=basket)
            await basket.has(4)
            assert basket.bodies == [b"", big, b"", big]
            assert all(dict(one.headers) == sent and one.content_type == "text/plain" for one in basket.all)
            assert len({one.message_id for one in basket.all} - {""}) == 4
            consumer.ack(basket.handles())
            await ended(consumer)
            await closed([transport])

    async def test_nothing(self) -> None:
        """Publishing no messages returns no verdicts."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            assert await transport.publish([]) == []
            await closed([transport])

    async def test_closed(self) -> None:
        """A transport that this process closed raises `TransportError`; its link says so."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            assert transport.link().ready
            await transport.close()
            assert not transport.link().ready
            for call in (
                transport.publish([room.to_queue()]),
                transport.until_ready(),
                transport.declare(room.topology()),
                transport.consume(room.queue, prefetch=1, deliver=Basket()),
            ):
                try:
                    await call
                except TransportError:
                    continue
                raise AssertionError("a closed transport did as if it were open")

    async def test_mismatch(self) -> None:
        """A queue or exchange that exists with other values: `ConfigError` names it, both values and the remedy."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            queue = Queue(room.queue, {"x-queue-type": "quorum", "x-delivery-limit": 5})
            existing = Queue(f"{room.service}.small", {"x-queue-type": "quorum", "x-delivery-limit": 7})
            other = Queue(existing.name, {"x-queue-type": "quorum", "x-delivery-limit": 5})
            await transport.declare(Topology(queues=(existing,)))
            said = await self._refused(transport.declare(Topology(queues=(other,))))
            assert all(word in said for word in (existing.name, "x-delivery-limit", "= 7", "declares 5", "again"))
            assert room.queue in await self._refused(transport.declare(Topology(queues=(queue,))))
            said = await self._refused(transport.declare(Topology(exchanges=(Exchange(room.service, "fanout"),))))
            assert all(word in said for word in (room.service, "type", "direct", "fanout"))
            said = await self._refused(transport.declare(Topology(bindings=(Binding(HEARD, "nothing.here", "#"),))))
            assert "nothing.here" in said
            assert (await transport.publish([room.to_queue()]))[0].verdict is Verdict.CONFIRMED
            await closed([transport])

    @staticmethod
    async def _refused(call: object) -> str:
        assert asyncio.iscoroutine(call)
        try:
            await call
        except ConfigError as refused:
            return str(refused)
        raise AssertionError("the broker took it")

    async def test_refused_start(self) -> None:
        """An error of declaring in `on_ready` is raised by `until_ready`, and is the link's reason."""
        room = Room()
        async with self.world() as world:
            first = await opened(world, room.service, room.topology())
            second = await world.transport(f"{room.service}-second")
            wrong = Topology(exchanges=(Exchange(room.service, "topic"),))
            second.on_ready(lambda: second.declare(wrong))
            await second.open()
            assert room.service in await self._refused(second.until_ready())
            await until(lambda: room.service in second.link().reason, "the link tells the reason")
            assert not second.link().ready
            await closed([second, first])

    async def test_no_such_queue(self) -> None:
        """Consuming a queue that does not exist: `TransportError` with its name."""
        room = Room()
        async with self.world() as world:
            transport = await opened(world, room.service, room.topology())
            try:
                await transport.consume("no.such.queue", prefetch=1, deliver=Basket())
            except TransportError as refused:
                assert "no.such.queue" in str(refused)  # noqa: PT017 - no pytest in what ships
            else:
                raise AssertionError("it consumes what is not there")
            await closed([transport])
