"""Repeats a call until it succeeds: waits by a `Backoff`, reports each failure to a callback."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from hocket.retry import Backoff

T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


async def until_done(
    work: Callable[[], Awaitable[T]],
    backoff: Backoff,
    chance: random.Random,
    *,
    on: type[E] | tuple[type[E], ...],
    failed: Callable[[E], object] = lambda _: None,
    failures: int = 0,
) -> T:
    """Call `work` until it succeeds; its result.

    An error of `on` is passed to `failed`, and the next call follows after a wait. Every other error ends the repeating
    and is raised; so does an error that `failed` raises, and a cancellation during a wait. `failures` counts the calls
    that failed before this one: where there are any, a wait comes first. There is no bound on the number of calls: the
    caller's task is cancelled at a stop.
    """
    while True:
        if failures:
            await asyncio.sleep(backoff.wait(failures, chance))
        try:
            return await work()
        except on as error:
            failed(error)
            failures += 1
