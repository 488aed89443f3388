"""The guard against deliveries that kill their process (RULES 1.4): starts are counted, suspects run alone.

A start is a line in the inbox row's history with the word `started` and the boot id of its process; the end of the
attempt takes it away again. So what is found there from another process is a start without an end. Starts beside
neighbours make a suspect, for any of them may be to blame; only starts alone bury (docs/adr/0012).
"""

import asyncio
from collections.abc import Sequence

from hocket.outcome import Attempt
from hocket.store.records import InboxRow

#: Starts alone, without an end, that bury a delivery.
STARTS = 3
#: Starts without an end from which on it runs alone, so that its neighbours are not counted with it.
ALONE_FROM = 2
#: The word of a line in the history that tells of a start, and the cause in it where it ran alone.
STARTED = "started"
ALONE = "alone"
#: The cause of a delivery that was given up because its process died each time.
CRASH = "crash"


def starts_of(row: InboxRow | None, boot: str) -> int:
    """Starts without an end, by other processes: this one lives, so its own are none."""
    history = row.history if row is not None else ()
    return sum(1 for line in history[len(ended(history)) :] if line.error != boot)


def alone_of(row: InboxRow | None, boot: str) -> int:
    """Those of them at which it ran alone."""
    history = row.history if row is not None else ()
    return sum(1 for line in history[len(ended(history)) :] if line.error != boot and line.cause == ALONE)


def ended(history: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The history without the starts that stand at its end."""
    many = len(history)
    while many and history[many - 1].word == STARTED:
        many -= 1
    return tuple(history[:many])


class SharedExclusiveLock:
    """Lets handlers run side by side, and a suspect alone in its service."""

    def __init__(self) -> None:
        self._together = 0
        self._alone = False
        self._waiting = 0
        self._changed = asyncio.Event()

    async def enter(self, alone: bool) -> None:
        """Wait for one's turn; who has entered calls `leave` with the same word."""
        if not alone:
            while self._alone or self._waiting:
                await self._change()
            self._together += 1
            return
        self._waiting += 1
        try:
            while self._alone or self._together:
                await self._change()
            self._alone = True
        finally:
            self._waiting -= 1
            if not self._alone:  # cancelled: those behind may go
                self._tell()

    def leave(self, alone: bool) -> None:
        """The run has ended."""
        if alone:
            self._alone = False
            self._tell()
            return
        self._together -= 1
        if self._waiting and not self._together:
            self._tell()

    async def _change(self) -> None:
        await self._changed.wait()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
