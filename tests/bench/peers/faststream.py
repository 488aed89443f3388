"""FastStream's RabbitBroker: decoded into a model, acked one by one, publishes confirmed."""

import asyncio
import importlib
import random
import time
from typing import Any

from hocket.clock import SystemClock
from hocket.envelope.ids import Ids
from tests.bench.event import PlacedEnvelope, peers_event, renewed
from tests.bench.measured_process import Sink, Task, Watch, pipelined, result, steady, told

# Peers are installed by `make bench` alone, not where types are checked.
faststream: Any = importlib.import_module("faststream")
rabbit: Any = importlib.import_module("faststream.rabbit")


def _broker(task: Task) -> Any:
    return rabbit.RabbitBroker(task.amqp, default_channel=rabbit.Channel(prefetch_count=task.prefetch), logger=None)


def _queue(name: str) -> Any:
    return rabbit.RabbitQueue(name, declare=False)


async def _say(broker: Any, task: Task, envelope: PlacedEnvelope) -> None:
    where: dict[str, object] = {"queue": task.routing_key}
    if task.exchange:
        kind = rabbit.ExchangeType.TOPIC
        exchange = rabbit.RabbitExchange(task.exchange, type=kind, durable=True, declare=False)
        where = {"exchange": exchange, "routing_key": task.routing_key}
    await broker.publish(
        envelope,
        **where,
        persist=True,
        correlation_id=envelope.correlationid,
        message_id=envelope.id,
        message_type=envelope.type,
    )


async def publish(task: Task) -> None:
    """`count` events, `window` of them in flight."""
    broker, envelope = _broker(task), peers_event()
    await broker.start()

    async def one() -> None:
        await _say(broker, task, envelope)

    await pipelined(min(200, task.count), task.window, one)
    await told()
    watch = Watch()
    watch.start()
    await pipelined(task.count, task.window, one)
    watch.stop()
    result(task.count, watch)
    await broker.stop()


async def consume(task: Task) -> None:
    """`count` events from a full queue."""
    broker, got, done, watch = _broker(task), 0, asyncio.Event(), Watch()

    async def handle(event: PlacedEnvelope) -> None:
        nonlocal got
        got += 1
        if got == task.count:
            done.set()

    broker.subscriber(_queue(task.queue), ack_policy=faststream.AckPolicy.NACK_ON_ERROR)(handle)
    await told()
    watch.start()
    await broker.start()
    await done.wait()
    watch.stop()
    result(task.count, watch)
    await asyncio.sleep(0.2)
    await broker.stop()


async def stage(task: Task) -> None:
    """One service of a chain."""
    broker, sink, ids = _broker(task), Sink(task), Ids(SystemClock(), random.Random())

    async def handle(event: PlacedEnvelope) -> None:
        if task.routing_key:
            await _say(broker, task, renewed(event, ids, event.data.sent_ns))
        else:
            sink.arrived(event.data.sent_ns)

    broker.subscriber(_queue(task.queue), ack_policy=faststream.AckPolicy.NACK_ON_ERROR)(handle)
    await broker.start()
    await told()
    await sink.done.wait()
    await asyncio.sleep(0.3)
    sink.report()
    await broker.stop()


async def send(task: Task) -> None:
    """A steady rate."""
    broker, envelope, ids, watch = _broker(task), peers_event(), Ids(SystemClock(), random.Random()), Watch()
    await broker.start()
    await told()
    watch.start()

    async def one() -> None:
        await _say(broker, task, renewed(envelope, ids, time.monotonic_ns()))

    await steady(task, one)
    watch.stop()
    result(task.count, watch)
    await broker.stop()


async def idle(task: Task) -> None:
    """A subscriber that waits."""
    broker = _broker(task)

    async def handle(event: PlacedEnvelope) -> None:
        return

    broker.subscriber(_queue(task.queue))(handle)
    await broker.start()
    await asyncio.sleep(1)
    await told()
    result(1, Watch())
    await broker.stop()
