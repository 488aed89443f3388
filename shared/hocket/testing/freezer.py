"""Pauses one of the services that share an event loop: nothing of it runs, as when its process is stopped."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any

#: The service whose code runs; its tasks and timers inherit it from the task that started it.
RUNS: ContextVar[str] = ContextVar("hocket_play_service", default="")

_Held = list[tuple[list[asyncio.Handle], Callable[..., object], tuple[Any, ...], Context]]


class Freezer:
    """Stands before each callback of a loop, and keeps those of a frozen service until it is thawed.

    Callbacks of `spared` always run: they belong to nobody, whoever scheduled them.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, spared: object) -> None:
        self._soon, self._at = loop.call_soon, loop.call_at
        self._spared = spared
        self._frozen: dict[str, _Held] = {}

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        """As the loop's own."""
        context, mine = context or copy_context(), list[asyncio.Handle]()
        mine.append(self._soon(self._run, mine, callback, args, context, context=context))
        return mine[0]

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As the loop's own."""
        context, mine = context or copy_context(), list[asyncio.Handle]()
        handle = self._at(when, self._run, mine, callback, args, context, context=context)
        mine.append(handle)
        return handle

    def _run(
        self, mine: list[asyncio.Handle], callback: Callable[..., object], args: tuple[Any, ...], context: Context
    ) -> None:
        held = self._frozen.get(RUNS.get()) if self._frozen else None
        if held is None or getattr(callback, "__self__", None) is self._spared:
            callback(*args)
        else:
            held.append((mine, callback, args, context))

    def freeze(self, service: str) -> None:
        """Run nothing of this service from now on."""
        self._frozen.setdefault(service, [])

    def thaw(self, service: str) -> None:
        """Let it go on: what came due meanwhile runs in order."""
        for mine, callback, args, context in self._frozen.pop(service, ()):
            if not mine[0].cancelled():
                self.call_soon(callback, *args, context=context)


@contextmanager
def freezing(spared: object) -> Iterator[Freezer]:
    """Put a freezer before the callbacks of the running loop; afterwards the loop is as it was."""
    loop = asyncio.get_running_loop()
    made = Freezer(loop, spared)
    vars(loop).update(call_soon=made.call_soon, call_at=made.call_at)
    try:
        yield made
    finally:
        del vars(loop)["call_soon"], vars(loop)["call_at"]
