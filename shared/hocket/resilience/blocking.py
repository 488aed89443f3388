"""Blocking calls of handlers: each in a thread, in a bounded number of them, waited for outside the attempt's time."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from hocket.resilience.time_limit import LimitedRun

T = TypeVar("T")


class BlockingCalls:
    """The threads of one service for blocking calls; with 0 `threads` a call runs at once in the event loop.

    A thread cannot be cancelled: a call that was given up keeps its thread until it ends, and then `late` is told.
    """

    def __init__(self, threads: int, late: Callable[[str], None] = lambda _: None) -> None:
        self._threads = threads
        self._late = late
        self._free = asyncio.Semaphore(threads)
        self._pool: ThreadPoolExecutor | None = None

    async def call(self, limit: LimitedRun | None, fn: Callable[..., T], *arguments: Any) -> T:
        """What `fn` returns or raises. While it waits for a thread, the time of the attempt does not run."""
        if not self._threads:
            return fn(*arguments)
        await self._take_thread(limit)
        loop = asyncio.get_running_loop()
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, "hocket-blocking")
        running: Future[T] = self._pool.submit(copy_context().run, partial(fn, *arguments))
        running.add_done_callback(lambda _: _in_loop(loop, self._free.release))
        try:
            return await asyncio.wrap_future(running)
        except asyncio.CancelledError:
            if not running.done():
                self._late(getattr(fn, "__qualname__", repr(fn)))
            raise

    async def _take_thread(self, limit: LimitedRun | None) -> None:
        if limit is None or not self._free.locked():
            await self._free.acquire()
            return
        limit.pause()
        try:
            await self._free.acquire()
        finally:
            limit.go_on()

    def close(self) -> None:
        """Start no more calls. Those that run are not waited for."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits for the thread any more
        loop.call_soon_threadsafe(call)
