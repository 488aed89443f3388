"""The time-out of a subscription: one timer for all runs, instead of one for each."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self


class TimeLimit:
    """Ends each run that lasts longer than `seconds`, the same for all runs: the first to begin is due first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self._runs: dict[LimitedRun, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def run(self) -> "LimitedRun":
        """A block with the limit: `with time_limit.run(): …` raises `TimeoutError`, as `asyncio.timeout` does."""
        return LimitedRun(self._runs, self._begin)

    def _begin(self, run: "LimitedRun") -> None:
        self._runs[run] = due = self._loop.time() + self._seconds
        if self._timer is None:
            self._timer = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._timer = None
        now = self._loop.time()
        while self._runs:
            run, due = next(iter(self._runs.items()))
            if due > now:
                self._timer = self._loop.call_at(due, self._look)
                return
            del self._runs[run]
            run.cut()


class LimitedRun:
    """One run of the current task under the limit; it is listed in `runs` until its end."""

    __slots__ = ("_begin", "_cancelling", "_over", "_runs", "_task")

    def __init__(self, runs: "dict[LimitedRun, float]", begin: "Callable[[LimitedRun], None]") -> None:
        self._runs = runs
        self._begin = begin
        self._over = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._begin(self)
        return self

    def cut(self) -> None:
        """Cancel it: its time is over."""
        self._over = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._over:
            del self._runs[self]
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
