"""Every task has a supervisor; nothing dies silently."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hocket.errors import HocketError
from hocket.signals import Signals

Spawn = Callable[[str, Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Supervisor:
    """Starts the tasks of one service and hears when one dies.

    A task that ends with an error is a bug of the kit or of the machine: `failed` is set to its sentence, the service
    is no longer alive, and whoever runs it ends the process, so that its supervisor starts it anew.
    """

    def __init__(self, service: str, signals: Signals) -> None:
        self._service = service
        self._signals = signals
        self._tasks: set[asyncio.Task[None]] = set()
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
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not self.failed:
            known = isinstance(error, HocketError)
            self.failed = str(error) if known else f"{task.get_name()} died: {type(error).__name__}: {error}"
            self._signals.trouble(self._service, "a task of the kit died", task=task.get_name(), error=repr(error))
            self.died.set()

    async def stop(self) -> None:
        """Cancel what still runs and wait for its end."""
        mine = asyncio.current_task()
        rest = [task for task in self._tasks if task is not mine]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)
