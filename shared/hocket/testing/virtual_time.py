"""Virtual time: the event loop's clock jumps to the next timer whenever there is nothing else to do."""

import asyncio
import selectors
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from hocket.errors import HocketError

#: The moment at which virtual time begins.
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)


class LoopClock:
    """The loop's time as a clock: `EPOCH` plus the time since the loop became virtual."""

    def __init__(self, loop: asyncio.AbstractEventLoop, selector: "_JumpingSelector") -> None:
        self._loop = loop
        self._selector = selector
        self._zero = loop.time()

    def now(self) -> datetime:
        """The current virtual time, aware, in UTC."""
        return EPOCH + timedelta(seconds=self._loop.time() - self._zero)

    def monotonic(self) -> float:
        """Monotonic virtual seconds."""
        return self._loop.time()

    def jump(self, seconds: float) -> None:
        """Let so much time be over at once: what was due meanwhile runs once, late."""
        self._selector.now += seconds


class _JumpingSelector:
    """A selector that never sleeps: if the real one finds nothing, it advances the time by the timeout."""

    def __init__(self, real: selectors.BaseSelector, start: float) -> None:
        self._real = real
        self.now = start

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:  # no timer: only a file descriptor can wake the loop
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
    """Make the running loop's time virtual inside the context; afterwards it is real again.

    Raises `HocketError` on a loop without a selector, such as uvloop.
    """
    loop = asyncio.get_running_loop()
    real = getattr(loop, "_selector", None)
    if not isinstance(real, selectors.BaseSelector):
        raise HocketError(
            f"virtual time needs asyncio's own event loop, not {type(loop).__name__}; run the test on that"
        )
    jumping = _JumpingSelector(real, loop.time())
    vars(loop).update(_selector=jumping, time=jumping.time)
    try:
        yield LoopClock(loop, jumping)
    finally:
        vars(loop).pop("time")
        vars(loop)["_selector"] = real
