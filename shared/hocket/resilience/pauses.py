"""Notices that this process did not run: SIGSTOP, a suspended machine, a paused VM (RULES 11.6).

The event loop is looked at once a second. A pause is counted from the last look, so a second too long at most.
"""

import asyncio
from collections.abc import Callable

#: Seconds between two looks, and how late one must come to be a pause.
LOOK_SECONDS = 1.0
LATE_SECONDS = 1.0

PauseListener = Callable[[float], None]


class Pauses:
    """The pauses of one running service; `listen` adds who is told the seconds of each."""

    def __init__(self) -> None:
        self._listeners: list[PauseListener] = []
        self._looked: float | None = None  # when the loop was last seen running; None: nobody looks
        self._timer: asyncio.TimerHandle | None = None

    def listen(self, listener: PauseListener) -> None:
        """Call `listener(seconds)` after each pause, before anything that is due by then."""
        self._listeners.append(listener)

    def start(self) -> None:
        """Look each second, in the running event loop."""
        self.stop()
        self._looked = asyncio.get_running_loop().time()
        self._next(self._looked)

    def stop(self) -> None:
        """Look no more."""
        self._looked = None
        if self._timer is not None:
            self._timer.cancel()

    def look(self) -> bool:
        """Whether the process was paused since the last look; its listeners have been told."""
        if self._looked is None:
            return False
        now = asyncio.get_running_loop().time()
        lost, self._looked = now - self._looked, now
        if lost <= LOOK_SECONDS + LATE_SECONDS:
            return False
        for listener in self._listeners:
            listener(lost)
        return True

    def _next(self, now: float) -> None:
        self._timer = asyncio.get_running_loop().call_at(now + LOOK_SECONDS, self._look)

    def _look(self) -> None:
        self.look()
        if self._looked is not None:
            self._next(self._looked)
