"""Supervises the tasks of one service: an error in a task is reported and ends the service."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from hocket.errors import HocketError
from hocket.telemetry.signals import Signals

#: Seconds that cancelled tasks have to end.
END_SECONDS = 5.0


class Supervisor:
    """Starts the tasks of one service and notices when one fails.

    A task that ends with an error is a bug of the kit or a fault of the machine: `failed` is set to a sentence, the
    service is no longer alive, and its caller ends the process, so that the process supervisor restarts it.
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
        """Cancel these tasks; inside them `cutting` is true, which tells it from a CancelledError of a handler."""
        for task in tasks:
            if not task.done():
                self._cut.add(task)
                task.cancel()

    def cutting(self) -> bool:
        """Whether `cut` cancelled the current task. (`Task.cancelling` is wrong after a failed `TaskGroup`.)"""
        return bool(self._cut) and asyncio.current_task() in self._cut

    async def stop(self) -> None:
        """Cancel the tasks that still run and wait for their end."""
        this_task = asyncio.current_task()
        others = [task for task in self._tasks if task is not this_task]
        self.cut(others)
        if others:
            _, late = await asyncio.wait(others, timeout=END_SECONDS)
            for task in late:  # a team's code suppressed the cancellation
                self._signals.trouble(self._service, "a task does not end", task=task.get_name())
