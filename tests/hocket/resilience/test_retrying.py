"""Repeating a call until it succeeds, under virtual time."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.testing.virtual_time import virtual_time

BACKOFF = Backoff(first=1.0, longest=5.0)
TICK = 0.01


def failing(times: list[float], *errors: BaseException) -> Callable[[], Awaitable[str]]:
    """A call that raises these errors, one a call, and then succeeds; notes when it is called."""
    left = list(errors)

    async def call() -> str:
        times.append(asyncio.get_running_loop().time())
        if left:
            raise left.pop(0)
        return "done"

    return call


async def waits_of(backoff: Backoff, failures: int, *, before: int = 0) -> list[float]:
    """The waits between calls of which `failures` fail; with `before` the wait before the first call is among them."""
    with virtual_time():
        times = [asyncio.get_running_loop().time()] if before else []
        work = failing(times, *(OSError(str(n)) for n in range(failures)))
        assert await until_done(work, backoff, random.Random(7), on=OSError, failures=before) == "done"
    return [after - earlier for earlier, after in pairwise(times)]


async def test_a_call_that_succeeds_is_made_once() -> None:
    """Without a failure there is no wait, and the result is the call's."""
    assert await waits_of(BACKOFF, 0) == []


async def test_waits_double_up_to_the_longest() -> None:
    """Each failure doubles the wait, never above the bound."""
    assert await waits_of(BACKOFF, 5) == pytest.approx([1.0, 2.0, 4.0, 5.0, 5.0], abs=TICK)


async def test_earlier_failures_count() -> None:
    """Who has failed twice already waits before the first call, as after the second failure."""
    assert await waits_of(BACKOFF, 1, before=2) == pytest.approx([2.0, 4.0], abs=TICK)


async def test_jitter_leaves_its_share_to_chance() -> None:
    """With a jitter of one half each wait lies between half of its bound and the bound, and they differ."""
    waits = await waits_of(Backoff(first=4.0, longest=4.0, jitter=0.5), 20)
    assert all(2.0 - TICK <= wait <= 4.0 + TICK for wait in waits)
    assert max(waits) - min(waits) > 0.5


async def test_each_failure_is_reported() -> None:
    """The callback gets each error, in order, before the wait."""
    reported: list[str] = []
    with virtual_time():
        await until_done(
            failing([], OSError("one"), TimeoutError("two")), BACKOFF, random.Random(7), on=(OSError, TimeoutError),
            failed=lambda error: reported.append(str(error)),
        )  # fmt: skip
    assert reported == ["one", "two"]


async def test_another_error_ends_it() -> None:
    """What is not among the errors to repeat is raised at once and not reported."""
    times: list[float] = []
    reported: list[BaseException] = []
    work = failing(times, OSError("once"), ValueError("for good"))
    with virtual_time(), pytest.raises(ValueError, match="for good"):
        await until_done(work, BACKOFF, random.Random(7), on=OSError, failed=reported.append)
    assert len(times) == 2
    assert [str(each) for each in reported] == ["once"]


async def test_the_callback_can_end_it() -> None:
    """An error that the callback raises ends the repeating."""

    def failed(error: OSError) -> None:
        raise error

    times: list[float] = []
    with pytest.raises(OSError, match="enough"):
        await until_done(failing(times, OSError("enough")), BACKOFF, random.Random(7), on=OSError, failed=failed)
    assert len(times) == 1


async def test_a_cancellation_ends_a_wait() -> None:
    """A task that is cancelled while it waits ends, also where cancellations of the call itself are repeated."""
    reported = asyncio.Event()

    async def work() -> None:
        raise asyncio.CancelledError

    task = asyncio.ensure_future(
        until_done(
            work, Backoff(60.0, 60.0), random.Random(7), on=asyncio.CancelledError, failed=lambda _: reported.set()
        )
    )
    await reported.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
