"""Dramatiq with confirms; a worker of four threads in this process."""

import importlib
import os
import threading
from typing import Any

from tests.bench.event import PlacedEnvelope, peers_event, plain
from tests.bench.measured_process import Task, Watch, result, told_blocking

dramatiq: Any = importlib.import_module("dramatiq")
rabbitmq: Any = importlib.import_module("dramatiq.brokers.rabbitmq")
worker: Any = importlib.import_module("dramatiq.worker")

#: Threads of the worker.
THREADS = 4


class _QuorumBroker(rabbitmq.RabbitmqBroker):  # type: ignore[misc]  # the peer is not installed where types are checked
    def _build_queue_arguments(self, queue_name: str) -> dict[str, object]:
        return {**super()._build_queue_arguments(queue_name), "x-queue-type": "quorum"}


def _placed(task: Task, arrived: "threading.Event") -> tuple[Any, Any]:
    broker = _QuorumBroker(url=task.amqp, confirm_delivery=True, middleware=[])
    dramatiq.set_broker(broker)
    got, lock = 0, threading.Lock()

    def placed(event: dict[str, object]) -> None:
        nonlocal got
        PlacedEnvelope.model_validate(event)
        with lock:
            got += 1
            if got == task.count:
                arrived.set()

    return broker, dramatiq.actor(queue_name=task.queue)(placed)


def publish(task: Task) -> None:
    """`count` events one by one."""
    _, placed = _placed(task, threading.Event())
    event, watch = plain(peers_event()), Watch()
    for _ in range(min(100, task.count)):
        placed.send(event)
    told_blocking()
    watch.start()
    for _ in range(task.count):
        placed.send(event)
    watch.stop()
    result(task.count, watch)
    os._exit(0)


def sample(task: Task) -> None:
    """One message, for the driver to copy."""
    _placed(task, threading.Event())[1].send(plain(peers_event()))
    told_blocking()
    result(1, Watch())
    os._exit(0)


def consume(task: Task) -> None:
    """`count` events from a full queue."""
    done, watch = threading.Event(), Watch()
    broker, _ = _placed(task, done)
    worker.QUEUE_PREFETCH = task.prefetch
    working = dramatiq.Worker(broker, worker_threads=THREADS, worker_timeout=100)
    told_blocking()
    watch.start()
    working.start()
    done.wait()
    watch.stop()
    result(task.count, watch)
    working.stop(timeout=2000)
    os._exit(0)
