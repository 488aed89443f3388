"""taskiq with taskiq-aio-pika; the worker's receiver in this process."""

import asyncio
import importlib
import os
from typing import Any

from tests.bench.event import PlacedEnvelope, peers_event
from tests.bench.measured_process import Task, Watch, pipelined, result, told

aio_pika_broker: Any = importlib.import_module("taskiq_aio_pika")
receiver: Any = importlib.import_module("taskiq.receiver")


def _broker(task: Task) -> Any:
    queue = aio_pika_broker.Queue(name=task.queue, type=aio_pika_broker.QueueType("quorum"))
    return aio_pika_broker.AioPikaBroker(
        task.amqp,
        qos=task.prefetch,
        exchange=aio_pika_broker.Exchange(name=f"{task.queue}.x"),
        task_queues=[queue],
        dead_letter_queue=aio_pika_broker.Queue(name=f"{task.queue}.dead"),
    )


def _placed(broker: Any, task: Task, done: asyncio.Event) -> Any:
    got = 0

    async def placed(event: PlacedEnvelope) -> None:
        nonlocal got
        got += 1
        if got == task.count:
            done.set()

    return broker.task(task_name="order.placed")(placed)


async def publish(task: Task) -> None:
    """`count` events, `window` of them in flight."""
    broker, envelope, watch = _broker(task), peers_event(), Watch()
    placed = _placed(broker, task, asyncio.Event())
    await broker.startup()

    async def one() -> None:
        await placed.kiq(envelope)

    await pipelined(min(100, task.count), task.window, one)
    await told()
    watch.start()
    await pipelined(task.count, task.window, one)
    watch.stop()
    result(task.count, watch)
    await broker.shutdown()


async def sample(task: Task) -> None:
    """One message, for the driver to copy."""
    broker = _broker(task)
    await broker.startup()
    await _placed(broker, task, asyncio.Event()).kiq(peers_event())
    await told()
    result(1, Watch())
    await broker.shutdown()


async def consume(task: Task) -> None:
    """`count` events from a full queue."""
    broker, done, watch = _broker(task), asyncio.Event(), Watch()
    _placed(broker, task, done)
    broker.is_worker_process = True
    await broker.startup()
    receiving = receiver.Receiver(broker, max_async_tasks=task.prefetch, max_prefetch=task.prefetch, run_startup=False)
    await told()
    watch.start()
    listening = asyncio.create_task(receiving.listen(asyncio.Event()))
    await done.wait()
    watch.stop()
    result(task.count, watch)
    await asyncio.sleep(0.5)
    listening.cancel()
    os._exit(0)
