"""Blocking calls: bounded threads, and time that runs only while a call has one."""

import asyncio
import threading
import time
from contextvars import ContextVar

import pytest

from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.pauses import Pauses
from hocket.resilience.time_limit import TimeLimit

shade: ContextVar[str] = ContextVar("shade", default="none")


async def test_waiting_for_a_thread_takes_no_time_of_the_attempt() -> None:
    """Twelve calls of 0.2 s in two threads take 1.2 s, and none of them exceeds its limit of 0.7 s."""
    calls, limit = BlockingCalls(2), TimeLimit(0.7, Pauses())
    at_once, most = set[str](), []

    def block() -> str:
        at_once.add(threading.current_thread().name)
        most.append(len(at_once))
        time.sleep(0.2)
        at_once.discard(threading.current_thread().name)
        return "done"

    async def attempt() -> str:
        run = limit.run()
        with run:
            return await calls.call(run, block)

    assert await asyncio.gather(*(attempt() for _ in range(12))) == ["done"] * 12
    assert max(most) == 2
    calls.close()


async def test_its_time_runs_from_its_start() -> None:
    """A call that blocks too long fails its attempt, is told of, and keeps its thread until it ends."""
    told: list[str] = []
    calls, limit = BlockingCalls(1, told.append), TimeLimit(0.1, Pauses())
    gate = threading.Event()

    def block() -> None:
        gate.wait(10)

    async def attempt() -> None:
        run = limit.run()
        with run:
            await calls.call(run, block)

    with pytest.raises(TimeoutError):
        await attempt()
    assert told == [f"{test_its_time_runs_from_its_start.__name__}.<locals>.block"]
    waiting = asyncio.create_task(attempt())
    await asyncio.sleep(0.3)
    assert not waiting.done()  # it waits for the thread, and its time does not run
    gate.set()
    await waiting
    calls.close()


async def test_the_time_before_and_after_the_wait_is_one_time() -> None:
    """What an attempt used before it waited is not given back to it."""
    calls, limit = BlockingCalls(1), TimeLimit(0.3, Pauses())
    gate = threading.Event()
    first = asyncio.create_task(calls.call(None, gate.wait, 10))

    async def attempt() -> None:
        run = limit.run()
        with run:
            await asyncio.sleep(0.2)
            waiting = calls.call(run, time.sleep, 0)
            asyncio.get_running_loop().call_later(0.5, gate.set)
            await waiting
            await asyncio.sleep(0.2)

    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await attempt()
    assert 0.7 <= time.monotonic() - began < 1.5
    await first
    calls.close()


async def test_it_returns_raises_and_sees_what_the_caller_has_set() -> None:
    """Result, error and context variables pass between the attempt and its thread; nothing comes back from there."""
    calls = BlockingCalls(1)
    shade.set("outside")

    def look(more: str) -> str:
        found = shade.get() + more
        shade.set("inside")
        return found

    assert await calls.call(None, look, "!") == "outside!"
    assert shade.get() == "outside"
    with pytest.raises(ZeroDivisionError):
        await calls.call(None, lambda: 1 // 0)
    calls.close()


async def test_without_threads_it_runs_at_once() -> None:
    """For virtual time: in the loop's own thread."""
    assert await BlockingCalls(0).call(None, threading.current_thread) is threading.current_thread()
