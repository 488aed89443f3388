"""Supervision of tasks: a task that ends unasked ends the process instead of disappearing."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from hocket.errors import HocketError
from hocket.telemetry.signals import Signals

#: Seconds that cancelled tasks have to end.
END_SECONDS = 5.0
#: Runs of one handler that may go on after they were cancelled; at this many its subscription takes nothing more. Those
#: that have begun by then may join them.
MAX_LEFT = 64


class Supervisor:
    """Starts the tasks of one service and notices when one ends that should not.

    A task that ends with an error, is cancelled by anyone else, or returns although it runs until the stop, means a bug
    in the kit or a fault of the machine. Then `failed` is its message, `died` is set, and the service is no longer
    live. Whoever runs it ends the process, for the process manager to start it again.
    """

    def __init__(self, service: str, signals: Signals) -> None:
        self._service = service
        self._signals = signals
        self._tasks: dict[asyncio.Task[None], bool] = {}  # whether it may end
        self._cancelled: set[asyncio.Task[None]] = set()
        self.left: dict[asyncio.Task[Any], str] = {}  # runs of a team's code that do not end, and their names
        self.end_of_left: dict[str, Callable[[], None]] = {}  # by name: told that one of them has ended
        self.failed = ""
        self.died = asyncio.Event()

    def spawn(self, name: str, work: Coroutine[Any, Any, None], *, may_end: bool = False) -> "asyncio.Task[None]":
        """Start a task under this supervisor. Without `may_end` it runs until it is cancelled by `cancel` or `stop`."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._service}: {name}")
        self._tasks[task] = may_end
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        may_end = self._tasks.pop(task)
        asked = task in self._cancelled
        self._cancelled.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is None and (asked or (may_end and not task.cancelled())):
            return
        if self.failed:
            return
        name = task.get_name()
        if error is None:
            how = "was cancelled, and not by hocket" if task.cancelled() else "returned"
            self.failed = f"{name} ended unasked: it {how}"
        elif isinstance(error, HocketError):
            self.failed = str(error)
        else:
            self.failed = f"{name} died: {type(error).__name__}: {error}"
        self._signals.trouble(self._service, "a task of the kit died", task=name, error=repr(error or self.failed))
        self.died.set()

    def running(self) -> "frozenset[asyncio.Task[None]]":
        """Its tasks that have not ended."""
        return frozenset(self._tasks)

    def cancel(self, tasks: "Iterable[asyncio.Task[None]]") -> None:
        """Cancel these tasks. Inside them `cancelling` is true, which distinguishes a stop from a handler's own."""
        for task in tasks:
            if not task.done():
                self._cancelled.add(task)
                task.cancel()

    def cancelling(self) -> bool:
        """Whether `cancel` cancelled the current task. (`Task.cancelling` is wrong after a failed `TaskGroup`.)"""
        return bool(self._cancelled) and asyncio.current_task() in self._cancelled

    def leave(self, task: "asyncio.Task[Any]", name: str) -> None:
        """A run of a team's code was cancelled and does not end: it is left behind, and named until it ends."""
        self.left[task] = name
        task.add_done_callback(self._came_to_its_end)
        self._signals.trouble(self._service, "a handler does not end although it was cancelled", handler=name)

    def left_of(self, name: str) -> int:
        """How many runs of this name were left behind and go on."""
        return sum(each == name for each in self.left.values()) if self.left else 0

    def _came_to_its_end(self, task: "asyncio.Task[Any]") -> None:
        name = self.left.pop(task, "")
        if name in self.end_of_left:
            self.end_of_left[name]()

    async def stop(self) -> None:
        """Cancel all tasks and wait, at most `END_SECONDS`, until they end."""
        mine = asyncio.current_task()
        rest = [task for task in self._tasks if task is not mine]
        self.cancel(rest)
        if rest:
            _, late = await asyncio.wait(rest, timeout=END_SECONDS)
            for task in late:  # a team's code has swallowed the cancellation
                self._signals.trouble(self._service, "a task does not end", task=task.get_name())
