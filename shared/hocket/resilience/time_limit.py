"""The timeout of a subscription's runs: one timer of the event loop for all runs instead of one for each.

The time for which the process did not run is no run's: after a pause all get it back (RULES 11.6).
"""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from hocket.resilience.pauses import Pauses

#: Seconds that a run which was cancelled has to clean up; then it is left behind.
CLEAN_UP_SECONDS = 2.0


class TimeLimit:
    """Cancels each run that lasts longer than `seconds`. All have the same limit, so they expire in order of start."""

    def __init__(self, seconds: float, pauses: Pauses) -> None:
        self._seconds = seconds
        self._pauses = pauses
        pauses.listen(self._give_back)
        self._loop = asyncio.get_running_loop()
        self._runs: dict[LimitedRun, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def run(self) -> "LimitedRun":
        """A block with this limit: `with limit.run(): …` raises `TimeoutError`, as `asyncio.timeout` does."""
        return LimitedRun(self._runs, self._begin, self._seconds)

    def _begin(self, run: "LimitedRun") -> None:
        self._runs[run] = due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._expire_due)

    def _give_back(self, seconds: float) -> None:
        for run in self._runs:
            self._runs[run] += seconds

    def _expire_due(self) -> None:
        self._timer = None
        self._pauses.look()
        now = self._loop.time()
        while self._runs:
            run, due = next(iter(self._runs.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._expire_due)
                return
            del self._runs[run]
            run.expire()


class LimitedRun:
    """One run of the current task under a time limit; it is in `runs` until it ends."""

    __slots__ = (
        "_begin",
        "_cancelling",
        "_ended",
        "_expired",
        "_left",
        "_paused",
        "_runs",
        "_seconds",
        "_task",
        "_timer",
        "overdue",
    )

    def __init__(self, runs: "dict[LimitedRun, float]", begin: "Callable[[LimitedRun], None]", seconds: float) -> None:
        self._runs = runs
        self._seconds = seconds
        self._begin = begin
        self._expired = False  # its time is over
        self._ended = False
        self._paused = 0
        self._timer: asyncio.TimerHandle | None = None
        self.overdue: Callable[[asyncio.Task[Any]], None] | None = None  # told where it does not end when cancelled

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._begin(self)
        return self

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return self._expired

    def expire(self) -> None:
        """Cancel the task: the time is over."""
        self._expired = True
        self._task.cancel()
        if self.overdue is not None:
            self._timer = self._task.get_loop().call_later(CLEAN_UP_SECONDS, self.overdue, self._task)

    def pause(self) -> None:
        """Stop its time until `go_on` was called as often."""
        self._paused += 1
        if self._paused > 1 or self._expired or self._ended:
            return
        now = self._task.get_loop().time()
        if self._timer is not None:
            self._timer.cancel()
            self._left = self._timer.when() - now
        elif (due := self._runs.pop(self, None)) is not None:
            self._left = due - now

    def go_on(self) -> None:
        """Let its time run again; from now on it has a timer of its own."""
        self._paused -= 1
        if not (self._paused or self._expired or self._ended):
            self._timer = self._task.get_loop().call_later(self._left, self.expire)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        if not self._expired:
            self._runs.pop(self, None)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError(f"not ended within {self._seconds:g} s, the timeout of its subscription") from error
