"""Runs a team's code apart from the kit: each run in a task, with context variables and a decimal context of its own.

So nothing that one run sets is there in the next, and a cancellation aimed at the current task hits one run alone.
"""

import asyncio
import decimal
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from contextvars import ContextVar, copy_context
from typing import Any, TypeVar

from hocket.errors import HocketError
from hocket.resilience.time_limit import CLEAN_UP_SECONDS, LimitedRun

T = TypeVar("T")

#: For a run whose time is limited otherwise.
UNLIMITED = nullcontext()
#: What an error says where a team's code tried to end the process.
END_OF_PROCESS = "a team's code does not end the process; raise an error of your own, or Reject"

#: What a run returned, or None and what it raised.
Outcome = tuple[Any, BaseException | None]
#: Told of a run that does not end although it was cancelled: its task and its name.
Left = Callable[["asyncio.Task[Any]", str], None]


class TeamRun:
    """One run of a team's code; `over` once it has ended or was left behind."""

    __slots__ = ("_ended", "_left", "name", "over")

    def __init__(self, name: str, left: Left) -> None:
        self.name = name
        self.over = False
        self._left = left
        self._ended: asyncio.Future[Outcome] | None = None

    async def result_of(
        self, work: Callable[..., Awaitable[T]], *arguments: Any, limit: AbstractContextManager[object] = UNLIMITED
    ) -> T:
        """What `work` returns or raises within `limit`, also `SystemExit` and a `CancelledError` of its own.

        A run that goes on `CLEAN_UP_SECONDS` after its `LimitedRun` has cancelled it is left behind: `TimeoutError`.
        Where the caller is cancelled the run is cancelled too, and has `CLEAN_UP_SECONDS` to end. What it returns all
        the same is returned; otherwise the caller's `CancelledError` goes on.
        """
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[Outcome] = loop.create_future()
        if isinstance(limit, LimitedRun):
            self._ended, limit.overdue = ended, self._give_up
        task = loop.create_task(self._run(work, arguments, limit, ended), name=self.name)
        try:
            value, error = await ended
        except asyncio.CancelledError:
            done = await self._cancel(task)
            if done is None or done[1] is not None:
                raise
            value, error = done[0], None
        finally:
            self._ended = None
        if error is not None:
            try:
                raise error
            finally:
                del error, ended, task  # else its frames hold the error until garbage is collected
        return value  # type: ignore[no-any-return]  # the future holds what `work` returned

    async def _run(
        self,
        work: Callable[..., Awaitable[Any]],
        arguments: tuple[Any, ...],
        limit: AbstractContextManager[object],
        ended: "asyncio.Future[Outcome]",
    ) -> Outcome:
        """The task: it tells its own end, which costs less than a callback of the task, and never raises."""
        _running.set(self)
        decimal.setcontext(decimal.getcontext().copy())  # the object is mutable: a copied variable would share it
        outcome: Outcome
        try:
            with limit:
                outcome = await work(*arguments), None
        except BaseException as raised:  # noqa: BLE001 -- SystemExit too: a handler does not end the process
            outcome = None, raised
        self.over = True
        if not ended.done():
            ended.set_result(outcome)
        try:
            return outcome
        finally:
            del outcome, ended  # as above

    def _give_up(self, task: "asyncio.Task[Any]") -> None:
        """Its time is over and it keeps its cancellation to itself: leave it behind, so that it holds nobody."""
        if self._ended is not None and not self._ended.done():
            self.over = True
            self._left(task, self.name)
            self._ended.set_result((None, TimeoutError("its time is over, and it goes on although it was cancelled")))

    async def _cancel(self, task: "asyncio.Task[Outcome]") -> Outcome | None:
        """Cancel the run; how it ended, None where it has not begun or does not end."""
        task.cancel()
        try:
            await asyncio.wait([task], timeout=CLEAN_UP_SECONDS)
        finally:
            self.over = True
            if not task.done():
                self._left(task, self.name)
        return task.result() if task.done() and not task.cancelled() else None


_running: ContextVar[TeamRun | None] = ContextVar("hocket_team_run", default=None)


def running() -> TeamRun | None:
    """The run that this code is part of, also in tasks and threads that it has started; None once it is over."""
    run = _running.get()
    return None if run is None or run.over else run


def call_apart(fn: Callable[..., T], *arguments: Any) -> T:
    """Call a team's plain function in a context of its own; an attempt to end the process becomes a `HocketError`."""

    def call() -> T:
        decimal.setcontext(decimal.getcontext().copy())
        return fn(*arguments)

    try:
        return copy_context().run(call)
    except (SystemExit, KeyboardInterrupt) as error:
        raise HocketError(f"{type(error).__name__}: {END_OF_PROCESS}") from error
