"""The breakers around one attempt: which ends of a call count."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hocket.breaker import Breaker
from hocket.clock import SystemClock
from hocket.errors import HocketError
from hocket.resilience.breakers.registry import Breakers, alone
from hocket.resilience.guard import BreakerGuard


class Ill(Exception):
    """The dependency failed."""


CARDS = Breaker("cards", failures=(Ill,), after=1, open_for=timedelta(seconds=30))


def guard_of(breakers: Breakers) -> BreakerGuard:
    """The guard of a new attempt."""
    return BreakerGuard(breakers, SystemClock())


async def _call(guard: BreakerGuard) -> None:
    async with guard.call(CARDS):
        await asyncio.sleep(60)


async def _fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("the sibling")


async def _group(guard: BreakerGuard) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_call(guard))
        group.create_task(_fail())


async def _group_around(guard: BreakerGuard) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_fail())
        await _call(guard)


async def _time_out(guard: BreakerGuard) -> None:
    async with asyncio.timeout(0.01):
        await _call(guard)


async def _wait_for(guard: BreakerGuard) -> None:
    await asyncio.wait_for(_call(guard), 0.01)


async def _time_out_in_a_group(guard: BreakerGuard) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_time_out(guard))


async def _stray(guard: BreakerGuard) -> None:
    task = asyncio.ensure_future(_call(guard))
    await asyncio.sleep(0)
    task.cancel()
    await task


@pytest.mark.parametrize(
    ("attempt", "state"),
    [
        (_group, "closed"), (_group_around, "closed"), (_stray, "closed"),
        (_time_out, "open"), (_wait_for, "open"), (_time_out_in_a_group, "open"),
    ],
)  # fmt: skip
async def test_a_cancelled_call_counts_only_where_time_was_over(attempt: object, state: str) -> None:
    """RULES 6.1: a call that is cancelled because its sibling failed says nothing about a healthy dependency."""
    breakers = alone(SystemClock())
    guard = guard_of(breakers)
    error: BaseException | None = None
    try:
        await attempt(guard)  # type: ignore[operator]
    except BaseException as raised:  # noqa: BLE001 -- as the handler's caller does
        error = raised
    await guard.end(error)
    assert breakers.of(CARDS).state == state


async def test_a_cancelled_probe_gives_its_place_back() -> None:
    """RULES 6.1: where the probe's call was cancelled by its sibling, the next delivery may probe at once."""
    breakers = alone(SystemClock())
    first = guard_of(breakers)
    with pytest.raises(Ill):
        async with first.call(Breaker("cards", failures=(Ill,), after=1, open_for=timedelta(milliseconds=1))):
            raise Ill
    await first.end(Ill())
    await asyncio.sleep(0.01)
    probe = guard_of(breakers)
    assert await probe.begin(CARDS)
    with pytest.raises(ExceptionGroup) as found:
        await _group(probe)
    await probe.end(found.value)
    async with asyncio.timeout(10):
        while not await guard_of(breakers).begin(CARDS):  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(0.01)
    assert breakers.of(CARDS).state == "half-open"


async def test_a_call_is_cut_and_counted() -> None:
    """RULES 6.2: after its `within` a call ends with a TimeoutError, which is a failure whatever `failures` says."""
    breakers = alone(SystemClock())
    guard = guard_of(breakers)
    with pytest.raises(TimeoutError):
        async with guard.call(CARDS, timedelta(milliseconds=10)):
            await asyncio.sleep(60)
    await guard.end(TimeoutError())
    assert guard.deferred
    assert breakers.of(CARDS).state == "open"


async def test_a_slow_success_is_a_failure() -> None:
    """RULES 6.2: the call has its answer, and the breaker opens."""
    breakers = alone(SystemClock())
    guard = guard_of(breakers)
    slow = Breaker("slow", failures=(Ill,), after=1, slow=timedelta(milliseconds=5))
    async with guard.call(slow):
        await asyncio.sleep(0.02)
    await guard.end()
    assert breakers.of(slow).state == "open"


class Odd(Exception):
    """An error of a client whose response was never read."""

    @property
    def response(self) -> object:
        """As some clients do it."""
        raise RuntimeError("there is no response yet")


def _raises(_: Exception) -> bool:
    raise KeyError("error")


@pytest.mark.parametrize(
    ("judges", "error", "seen"),
    [
        ({"ill": _raises}, Ill(), KeyError),
        ({"ill": lambda _: timedelta.min}, Ill(), Ill),
        ({}, Odd(), Odd),
    ],
)
async def test_a_call_whose_error_cannot_be_judged_has_failed(judges: Any, error: Exception, seen: type) -> None:
    """RULES 6.2: what `ill` raises comes out, the place is given back, and the dependency has failed."""
    breakers = alone(SystemClock())
    breaker = Breaker("odd", failures=(Ill, Odd), after=2, in_flight=1, **judges)
    for deferred in (False, True):
        guard = guard_of(breakers)
        with pytest.raises(seen):  # the second one too has the only place
            async with guard.call(breaker):
                raise error
        await guard.end(error)
        assert guard.deferred is deferred


@pytest.mark.parametrize("within", [timedelta(0), timedelta(seconds=-1)])
async def test_a_call_without_time_is_refused(within: timedelta) -> None:
    """RULES 6.2: a caller's own mistake, as a deadline that is over, says nothing about the dependency."""
    breakers = alone(SystemClock())
    guard = guard_of(breakers)
    with pytest.raises(HocketError, match="leaves no time for the call"):
        async with guard.call(CARDS, within):
            raise AssertionError
    await guard.end(HocketError())
    assert not guard.deferred
    assert breakers.of(CARDS).state == "closed"
