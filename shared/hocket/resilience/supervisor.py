"""Every task has a supervisor; nothing dies silently."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from hocket.errors import HocketError
from hocket.telemetry.signals import Signals

#: Seconds that cancelled tasks get to end.
END_SECONDS = 5.0


class Supervisor:
    """Starts the tasks of one service and hears when one dies.

    A task that ends with an error is a bug of the kit or of the machine: `failed` is set to its sentence, the service
    is no longer alive, and whoever runs it ends the process, so that its supervisor starts it anew.
    """

    def __init__(self, service: str, signals: Signals) -> None:
        self._service = service
        self._signals = signals
        self._tasks: set[asyncio.Task[None]] = set()
        self._cut: set[asyncio.Task[None]] = set()
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
        self._cut.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed:
            known = isinstance(error, HocketError)
            self.failed = str(error) if known else f"{task.get_name()} died: {type(error).__name__}: {error}"
            self._signals.trouble(self._service, "a task of the kit died", task=task.get_name(), error=repr(error))
            self.died.set()

    def cut(self, tasks: "Iterable[asyncio.Task[None]]") -> None:
        """Cancel these tasks; inside them `cutting` says that it was us, and no accident of a handler's."""
        for task in tasks:
            if not task.done():
                self._cut.add(task)
                task.cancel()

    def cutting(self) -> bool:
        """Whether the current task was cut. (A `TaskGroup` that failed leaves a task's own count of them wrong.)"""
        return bool(self._cut) and asyncio.current_task() in self._cut

    async def stop(self) -> None:
        """Cancel what still runs and wait for its end."""
        mine = asyncio.current_task()
        rest = [task for task in self._tasks if task is not mine]
        self.cut(rest)
        if rest:
            _, late = await asyncio.wait(rest, timeout=END_SECONDS)
            for task in late:  # a team's code keeps the cancellation to itself
                self._signals.trouble(self._service, "a task does not end", task=task.get_name())
