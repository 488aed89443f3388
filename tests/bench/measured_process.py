"""One measured process: `python -m tests.bench.measured_process MODULE COMMAND OPTIONS`; READY, a wait, RESULT."""

import asyncio
import importlib
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass


@dataclass(slots=True)
class Task:
    """What a child is asked to do; the driver hands it over as JSON."""

    amqp: str
    queue: str = "bench.handle"
    count: int = 1000
    window: int = 256
    prefetch: int = 256
    exchange: str = ""
    routing_key: str = ""
    database: str = ""
    rate: float = 500.0
    subscriptions: int = 1
    source: str = ""
    fd: int = -1
    outside: str = ""  # the address of what is called
    path: str = ""  # of the file that it writes
    seconds: float = 0.0


class Watch:
    """Wall and CPU seconds between `start` and `stop`."""

    def __init__(self) -> None:
        self.wall = self.cpu = 0.0

    def start(self) -> None:
        """Begin."""
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        """End."""
        self.wall, self.cpu = time.perf_counter() - self._wall, time.process_time() - self._cpu


async def told() -> None:
    """Say that all is prepared and wait for the driver's word."""
    print("READY", flush=True)
    await asyncio.to_thread(sys.stdin.readline)


def told_blocking() -> None:
    """The same for peers without an event loop."""
    print("READY", flush=True)
    sys.stdin.readline()


def result(count: int, watch: Watch, **more: object) -> None:
    """Hand the figures to the driver."""
    print("RESULT " + json.dumps({"count": count, "wall": watch.wall, "cpu": watch.cpu, **more}), flush=True)


async def pipelined(count: int, window: int, one: Callable[[], Awaitable[object]]) -> None:
    """`window` workers that call `one` until it was called `count` times."""
    left = count

    async def worker() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await one()

    await asyncio.gather(*(worker() for _ in range(window)))


async def steady(task: Task, one: Callable[[], Coroutine[None, None, None]]) -> None:
    """Start `one` at each moment of the rate; return when all have ended."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number in range(task.count):
            wait = began + number / task.rate - time.monotonic()
            if wait > 0:
                await asyncio.sleep(wait)
            group.create_task(one())


class Sink:
    """The last service of a chain: latencies, and one byte a finished flow to the starter."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self.watch = Watch()
        self.done = asyncio.Event()
        self.latencies: list[float] = []

    def arrived(self, sent_ns: int) -> None:
        """One flow has come to its end."""
        if not self.latencies:
            self.watch.start()
        self.latencies.append((time.monotonic_ns() - sent_ns) / 1e6)
        if self._task.fd >= 0:
            os.write(self._task.fd, b"x")
        if len(self.latencies) == self._task.count:
            self.watch.stop()
            self.done.set()

    def report(self) -> None:
        """The latencies without the first tenth, in milliseconds."""
        kept = sorted(self.latencies[len(self.latencies) // 10 :])
        result(
            len(self.latencies),
            self.watch,
            p50=kept[len(kept) // 2],
            p99=kept[min(len(kept) - 1, len(kept) * 99 // 100)],
        )


def main() -> None:
    """Run one command of one system."""
    module, command, options = sys.argv[1:4]
    task = Task(**json.loads(options))
    call = getattr(importlib.import_module(f"tests.bench.{module}"), command)
    if asyncio.iscoroutinefunction(call):
        asyncio.run(call(task))
    else:
        call(task)


if __name__ == "__main__":
    main()
