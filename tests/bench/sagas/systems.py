"""The measured processes of the figures about sagas, time-outs and breakers: each runs one service of hocket."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp

from hocket import Service
from tests.bench.hocket_system import READY_SECONDS, ready, running, settled
from tests.bench.measured_process import Sink, Task, Watch, result, told
from tests.bench.sagas.services import CALL_SECONDS, billing, desk, first, quota, second, third


async def _dismissed() -> None:
    """The driver wants no more."""
    await asyncio.to_thread(sys.stdin.readline)


async def saga(task: Task) -> None:
    """One service of a saga; the third tells when all it has said is confirmed, the others work until ended."""
    sink = Sink(task)
    made: dict[str, Callable[[], Service[None]]] = {
        "first": first,
        "second": second,
        "third": partial(third, sink.arrived),
    }
    async with running(made[task.source](), task) as part:
        await ready(part)
        await told()
        await sink.done.wait()
        await settled(part)
        await part.worker.relay.drained(READY_SECONDS)
        sink.report()


async def charging(task: Task) -> None:
    """`billing`: moments (seconds since 1970) and latencies (milliseconds) of the subscription that calls nobody."""
    heard: list[tuple[float, float]] = []
    async with aiohttp.ClientSession() as http:

        def call(order: str, attempt: int) -> AbstractAsyncContextManager[Any]:
            return http.post(task.outside, headers={"X-Order": order, "X-Attempt": str(attempt)})

        def noted(sent_ns: int) -> None:
            heard.append((time.time(), (time.monotonic_ns() - sent_ns) / 1e6))

        watch = Watch()
        async with running(billing(call, noted, timedelta(seconds=task.seconds)), task) as part:
            await ready(part)
            await told()
            watch.start()
            await _dismissed()
            watch.stop()
            result(len(heard), watch, heard=heard)


async def calling(task: Task) -> None:
    """`quota`: the moments at which its calls began, in seconds since 1970."""
    moments: list[float] = []

    async def begun() -> None:
        moments.append(time.time())
        await asyncio.sleep(CALL_SECONDS)

    watch = Watch()
    async with running(quota(begun), task) as part:
        await ready(part)
        await told()
        watch.start()
        await _dismissed()
        watch.stop()
        result(len(moments), watch, moments=moments)


async def waiting(task: Task) -> None:
    """`desk`: appends a line a run to its file: whose time was over, and when it ran."""
    lines = os.open(task.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def fired(order: str) -> None:
        os.write(lines, f"{order} {time.time():.6f}\n".encode())

    async with running(desk(fired), task) as part:
        await ready(part)
        await told()
        await _dismissed()
        await settled(part)
        result(1, Watch())
