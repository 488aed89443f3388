"""Raw aio-pika: a callback, an ack each, publishes with confirms; no inbox, no outbox, no envelope of ours."""

import asyncio
import random
import time

import aio_pika
from aio_pika.abc import AbstractExchange, AbstractIncomingMessage

from hocket.clock import SystemClock
from hocket.envelope.ids import Ids
from tests.bench.event import PlacedEnvelope, as_json, peers_event, renewed
from tests.bench.measured_process import Sink, Task, Watch, pipelined, result, steady, told


def _message(envelope: PlacedEnvelope) -> aio_pika.Message:
    return aio_pika.Message(
        as_json(envelope),
        content_type="application/json",
        message_id=envelope.id,
        correlation_id=envelope.correlationid,
        type=envelope.type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )


async def _exchange(channel: aio_pika.abc.AbstractChannel, name: str) -> AbstractExchange:
    return await channel.get_exchange(name, ensure=False) if name else channel.default_exchange


async def publish(task: Task) -> None:
    """`count` events, `window` of them in flight, each confirmed."""
    async with await aio_pika.connect(task.amqp) as connection:
        channel = await connection.channel()
        exchange = await _exchange(channel, task.exchange)
        envelope = peers_event()

        async def one() -> None:
            await exchange.publish(_message(envelope), task.routing_key)

        await pipelined(min(200, task.count), task.window, one)
        watch = Watch()
        await told()
        watch.start()
        await pipelined(task.count, task.window, one)
        watch.stop()
        result(task.count, watch)


async def consume(task: Task) -> None:
    """`count` events from a full queue: validated into a model, acked one by one."""
    async with await aio_pika.connect(task.amqp) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=task.prefetch)
        queue = await channel.get_queue(task.queue, ensure=False)
        got, done, watch = 0, asyncio.Event(), Watch()

        async def arrived(message: AbstractIncomingMessage) -> None:
            nonlocal got
            PlacedEnvelope.model_validate_json(message.body)
            got += 1
            last = got == task.count
            await message.ack()
            if last:
                done.set()

        await told()
        watch.start()
        await queue.consume(arrived)
        await done.wait()
        watch.stop()
        result(task.count, watch)
        await asyncio.sleep(0.2)


async def stage(task: Task) -> None:
    """One service of a chain: consume, say the next event confirmed, ack; the last one measures."""
    async with await aio_pika.connect_robust(task.amqp) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=task.prefetch)
        queue = await channel.get_queue(task.queue, ensure=False)
        exchange = await _exchange(channel, task.exchange)
        ids, sink = Ids(SystemClock(), random.Random()), Sink(task)

        async def arrived(message: AbstractIncomingMessage) -> None:
            envelope = PlacedEnvelope.model_validate_json(message.body)
            if task.routing_key:
                await exchange.publish(_message(renewed(envelope, ids, envelope.data.sent_ns)), task.routing_key)
            else:
                sink.arrived(envelope.data.sent_ns)
            await message.ack()

        await queue.consume(arrived)
        await told()
        await sink.done.wait()
        await asyncio.sleep(0.3)
        sink.report()


async def send(task: Task) -> None:
    """A steady rate, a task an event, so that a slow confirm never delays the next event."""
    async with await aio_pika.connect_robust(task.amqp) as connection:
        channel = await connection.channel()
        exchange = await _exchange(channel, task.exchange)
        ids, envelope = Ids(SystemClock(), random.Random()), peers_event()
        await told()
        watch = Watch()
        watch.start()

        async def one() -> None:
            fresh = renewed(envelope, ids, time.monotonic_ns())
            await exchange.publish(_message(fresh), task.routing_key)

        await steady(task, one)
        watch.stop()
        result(task.count, watch)


async def idle(task: Task) -> None:
    """A consumer that waits."""
    async with await aio_pika.connect_robust(task.amqp) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(task.queue, ensure=False)

        async def arrived(message: AbstractIncomingMessage) -> None:
            await message.ack()

        await queue.consume(arrived)
        await asyncio.sleep(1)
        await told()
        result(1, Watch())
