"""Celery on the default pool of one process (solo), acks late, publishes confirmed."""

import importlib
import os
import threading
import time
from typing import Any

from tests.bench.event import PlacedEnvelope, peers_event, plain
from tests.bench.measured_process import Task, Watch, result, told_blocking

celery: Any = importlib.import_module("celery")
kombu: Any = importlib.import_module("kombu")


def _app(task: Task) -> Any:
    app = celery.Celery("bench", broker=task.amqp)
    arguments = {"x-queue-type": "quorum"}
    queue = kombu.Queue(task.queue, kombu.Exchange(""), routing_key=task.queue, durable=True, queue_arguments=arguments)
    app.conf.update(
        task_queues=[queue],
        task_default_queue=task.queue,
        task_default_exchange="",
        task_default_routing_key=task.queue,
        broker_transport_options={"confirm_publish": True},
        task_ignore_result=True,
        worker_prefetch_multiplier=task.prefetch,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_detect_quorum_queues=True,
        broker_connection_retry_on_startup=True,
    )
    return app


def _placed(app: Any, task: Task, watch: Watch) -> Any:
    got = 0

    def placed(event: dict[str, object]) -> None:
        nonlocal got
        PlacedEnvelope.model_validate(event)
        if not got:
            watch.start()
        got += 1
        if got == task.count:
            watch.stop()
            result(task.count, watch)
            threading.Thread(target=_leave).start()

    return app.task(name="order.placed", acks_late=True)(placed)


def _leave() -> None:
    time.sleep(1)  # the last acks go out
    os._exit(0)


def publish(task: Task) -> None:
    """`count` events one by one."""
    app, watch = _app(task), Watch()
    placed, event = _placed(app, task, watch), plain(peers_event())
    with app.producer_or_acquire() as producer:

        def say(count: int) -> None:
            for _ in range(count):
                placed.apply_async(args=(event,), producer=producer)

        say(min(task.count, 100))
        told_blocking()
        watch.start()
        say(task.count)
        watch.stop()
    result(task.count, watch)


def sample(task: Task) -> None:
    """One message, for the driver to copy."""
    app = _app(task)
    _placed(app, task, Watch()).apply_async(args=(plain(peers_event()),))
    told_blocking()
    result(1, Watch())


def consume(task: Task) -> None:
    """`count` events from a full queue."""
    app = _app(task)
    _placed(app, task, Watch())
    told_blocking()
    app.Worker(
        pool="solo",
        concurrency=1,
        loglevel="ERROR",
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        prefetch_multiplier=task.prefetch,
    ).start()
