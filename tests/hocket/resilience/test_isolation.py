"""A run of a team's code: its own task and context, whatever it does, and a bounded end."""

import asyncio
import decimal
import gc
import sys
import weakref
from contextlib import suppress
from contextvars import ContextVar
from typing import Any

import pytest

from hocket.errors import HocketError
from hocket.resilience.isolation import TeamRun, call_apart, running
from hocket.resilience.time_limit import CLEAN_UP_SECONDS

shade: ContextVar[str] = ContextVar("shade", default="none")


def _run(left: "list[str] | None" = None) -> TeamRun:
    return TeamRun("payments.charge", lambda task, name: (left if left is not None else []).append(name))


async def test_it_returns_and_raises_what_the_code_does() -> None:
    """Results, errors, groups, and what usually ends a process: all of it reaches the caller as it is."""

    async def give(value: object) -> object:
        if isinstance(value, BaseException):
            raise value
        return value

    assert await _run().result_of(lambda: give(3)) == 3
    for error in (ValueError("v"), asyncio.CancelledError(), SystemExit(0), KeyboardInterrupt(), GeneratorExit()):
        with pytest.raises(type(error)) as found:
            await _run().result_of(lambda error=error: give(error))
        assert found.value is error


async def test_it_has_a_task_and_a_context_of_its_own() -> None:
    """RULES 3.6: what is set inside is not there outside; what was set outside is seen inside."""
    decimal.getcontext()
    shade.set("outside")
    mine = asyncio.current_task()

    async def look() -> str:
        assert asyncio.current_task() is not mine
        before = shade.get()
        shade.set("inside")
        decimal.getcontext().prec = 2
        return before

    assert await _run().result_of(look) == "outside"
    assert shade.get() == "outside"
    assert decimal.getcontext().prec == decimal.DefaultContext.prec


async def test_it_is_running_until_it_is_over() -> None:
    """`running` names the run, also in its tasks and threads, and nothing once it is over."""
    gate = asyncio.Event()

    async def name() -> str:
        return getattr(running(), "name", "")

    async def late() -> str:
        await gate.wait()
        return getattr(running(), "name", "")

    async def work() -> "tuple[str, str, str, asyncio.Task[str]]":
        threaded = await asyncio.to_thread(lambda: getattr(running(), "name", ""))
        return await name(), await asyncio.create_task(name()), threaded, asyncio.create_task(late())

    own, child, threaded, task = await _run().result_of(work)
    assert (own, child, threaded) == ("payments.charge",) * 3
    gate.set()
    assert await task == ""
    assert running() is None


async def test_a_cancelled_caller_ends_it() -> None:
    """The run is cancelled and may clean up; what it returns all the same counts, what it raises does not."""
    cleaned: list[str] = []

    async def clean(answer: str) -> str:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            cleaned.append(answer)
            if answer:
                return answer
            raise ValueError("while it cleaned up") from None
        return ""

    for answer in ("done", ""):
        task = asyncio.create_task(_run().result_of(lambda answer=answer: clean(answer)))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled() is not bool(answer)
        if answer:
            assert task.result() == answer
    assert cleaned == ["done", ""]


async def test_what_does_not_end_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time to clean up the caller goes on, and the run is told to whoever keeps account of it."""
    monkeypatch.setattr("hocket.resilience.isolation.CLEAN_UP_SECONDS", 0.05)
    left: list[str] = []
    over = asyncio.Event()

    async def stubborn() -> None:
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    task = asyncio.create_task(_run(left).result_of(stubborn))
    await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task], timeout=CLEAN_UP_SECONDS)
    assert task.cancelled()
    assert left == ["payments.charge"]
    over.set()


async def test_a_failed_run_leaves_no_garbage() -> None:
    """Its error, its frames and what they hold are free at once, without a garbage collection."""

    class Big:
        """What a handler held."""

    held: list[weakref.ref[Any]] = []

    async def fail() -> None:
        big = Big()
        held.append(weakref.ref(big))
        raise ValueError("v")

    gc.collect()
    gc.disable()
    try:
        with suppress(ValueError):
            await _run().result_of(fail)
        await asyncio.sleep(0)
        assert held[0]() is None
    finally:
        gc.enable()


def test_a_plain_function_runs_apart_too() -> None:
    """It has a context of its own and cannot end the process; what else it raises is its own."""

    def mark(value: str) -> str:
        before = shade.get()
        shade.set(value)
        decimal.getcontext().prec = 2
        return before

    assert call_apart(mark, "inside") == "none"
    assert shade.get() == "none"
    assert decimal.getcontext().prec == decimal.DefaultContext.prec
    with pytest.raises(HocketError, match="does not end the process"):
        call_apart(sys.exit, 0)
    with pytest.raises(ZeroDivisionError):
        call_apart(lambda: 1 // 0)
