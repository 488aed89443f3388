"""Virtual time: the running loop's clock jumps to the next timer whenever nothing else is left to do."""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from hocket.errors import HocketError

#: Where virtual time begins.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LoopClock:
    """The running loop's time as a clock: `EPOCH` plus what has passed since the loop became virtual."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._zero = loop.time()

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        return EPOCH + timedelta(seconds=self._loop.time() - self._zero)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._loop.time()


class _Jumping:
    """A selector that never sleeps: where the real one finds nothing, time moves on by what it would have waited."""

    def __init__(self, real: selectors.BaseSelector, start: float) -> None:
        self._real = real
        self.now = start

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer at all: only the outside can wake the loop
            return self._real.select(None)
        found = self._real.select(0)
        if not found and timeout > 0:
            self.now += timeout
        return found

    def time(self) -> float:
        return self.now

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@contextmanager
def virtual_time() -> Iterator[LoopClock]:
    """Inside, the running loop's time is virtual; afterwards it is real again.

    `HocketError` on a loop that has no selector to stand in for (uvloop): use asyncio's own there.
    """
    loop = asyncio.get_running_loop()
    real = getattr(loop, "_selector", None)
    if not isinstance(real, selectors.BaseSelector):
        raise HocketError(f"virtual time needs asyncio's own event loop, not {type(loop).__name__}")
    jumping = _Jumping(real, loop.time())
    vars(loop).update(_selector=jumping, time=jumping.time)
    try:
        yield LoopClock(loop)
    finally:
        vars(loop).pop("time")
        vars(loop)["_selector"] = real
