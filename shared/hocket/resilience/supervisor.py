"""Supervision of tasks: a task that fails ends the process instead of disappearing."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from hocket.errors import HocketError
from hocket.telemetry.signals import Signals

#: Seconds that cancelled tasks have to end.
END_SECONDS = 5.0

Spawn = Callable[[str, Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Supervisor:
    """Starts the tasks of one service and notices when one fails.

    A task that ends with an error means a bug in the kit or a fault of the machine. Then `failed` is its message,
    `died` is set, and the service is no longer live. Whoever runs it ends the process, for the process manager to start
    it again.
    """

    def __init__(self, service: str, signals: Signals) -> None:
        self._service = service
        self._signals = signals
        self._tasks: set[asyncio.Task[None]] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self.failed = ""
        self.died = asyncio.Event()

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Start a task under this supervisor."""
        task = asyncio.get_running_loop().create_task(work, name=f"{self._service}: {name}")
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        self._cancelled.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed:
            known = isinstance(error, HocketError)
            self.failed = str(error) if known else f"{task.get_name()} died: {type(error).__name__}: {error}"
            self._signals.trouble(self._service, "a task of the kit died", task=task.get_name(), error=repr(error))
            self.died.set()

    def cancel(self, tasks: "Iterable[asyncio.Task[None]]") -> None:
        """Cancel these tasks. Inside them `cancelling` is true, which distinguishes a stop from a handler's own."""
        for task in tasks:
            if not task.done():
                self._cancelled.add(task)
                task.cancel()

    def cancelling(self) -> bool:
        """Whether `cancel` cancelled the current task. (`Task.cancelling` is wrong after a failed `TaskGroup`.)"""
        return bool(self._cancelled) and asyncio.current_task() in self._cancelled

    async def stop(self) -> None:
        """Cancel all tasks and wait, at most `END_SECONDS`, until they end."""
        mine = asyncio.current_task()
        rest = [task for task in self._tasks if task is not mine]
        self.cancel(rest)
        if rest:
            _, late = await asyncio.wait(rest, timeout=END_SECONDS)
            for task in late:  # a team's code has swallowed the cancellation
                self._signals.trouble(self._service, "a task does not end", task=task.get_name())
