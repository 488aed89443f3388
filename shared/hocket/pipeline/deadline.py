"""The time-out of all runs of one subscription: one timer for all of them instead of one for each."""

import asyncio
from types import TracebackType
from typing import Self


class Deadlines:
    """Ends each run that lasts longer than `seconds`, the same for all: who began first is due first."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._runs: dict[Run, float] = {}
        self._timer: asyncio.TimerHandle | None = None

    def run(self) -> "Run":
        """A block that ends after the time: `with deadlines.run(): …` raises `TimeoutError`, as `asyncio.timeout`."""
        return Run(self)

    def begin(self, run: "Run") -> None:
        """Watch it from now on."""
        loop = asyncio.get_running_loop()
        self._runs[run] = due = loop.time() + self._seconds
        if self._timer is None:
            self._timer = loop.call_at(due, self._look)

    def end(self, run: "Run") -> None:
        """Watch it no longer."""
        self._runs.pop(run, None)

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        now = loop.time()
        while self._runs:
            run, due = next(iter(self._runs.items()))
            if due > now:
                self._timer = loop.call_at(due, self._look)
                return
            del self._runs[run]
            run.cut()


class Run:
    """One run of the current task under its deadline."""

    __slots__ = ("_cancelling", "_deadlines", "_over", "_task")

    def __init__(self, deadlines: Deadlines) -> None:
        self._deadlines = deadlines
        self._over = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._cancelling = task.cancelling()
        self._deadlines.begin(self)
        return self

    def cut(self) -> None:
        """Its time is over."""
        self._over = True
        self._task.cancel()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if not self._over:
            self._deadlines.end(self)
        elif self._task.uncancel() <= self._cancelling and kind is asyncio.CancelledError:
            raise TimeoutError from error
