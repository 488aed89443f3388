"""Deliveries that kill their process (RULES 1.4): starts are counted, a suspect runs alone.

A start is an entry in the inbox row's history with the word `started` and the boot id of its process; the end of the
attempt removes it. So an entry of another process is a start without an end. A start beside other handlers only makes a
suspect, for any of them may have killed the process; starts alone bury the delivery (docs/adr/0012).
"""

import asyncio
from collections.abc import Sequence

from hocket.outcome import Attempt
from hocket.store.records import InboxRow

#: Starts alone, without an end, after which a delivery is buried.
STARTS = 3
#: Starts without an end after which a delivery runs alone, so that no other delivery is counted with it.
ALONE_FROM = 2
#: The word of a start in the history, and its cause where the delivery ran alone.
STARTED = "started"
ALONE = "alone"
#: The cause of a dead letter whose process died at each start.
CRASH = "crash"


def starts_of(row: InboxRow | None, boot: str) -> int:
    """How often other processes started it without an end; this process is alive, so its own starts do not count."""
    if row is None or not row.history:
        return 0
    history = row.history
    return sum(1 for line in history[len(ended(history)) :] if line.error != boot)


def alone_of(row: InboxRow | None, boot: str) -> int:
    """How many of these starts were alone."""
    if row is None or not row.history:
        return 0
    history = row.history
    return sum(1 for line in history[len(ended(history)) :] if line.error != boot and line.cause == ALONE)


def ended(history: Sequence[Attempt]) -> tuple[Attempt, ...]:
    """The history without the starts at its end."""
    many = len(history)
    while many and history[many - 1].word == STARTED:
        many -= 1
    return tuple(history[:many])


class SharedExclusiveLock:
    """Handlers hold it shared, a suspect holds it exclusively."""

    def __init__(self) -> None:
        self._shared = 0
        self._exclusive = False
        self._waiting = 0
        self._changed = asyncio.Event()

    def shared_at_once(self) -> bool:
        """Enter shared if nobody has it exclusively, or waits for that; as `enter(False)` does without waiting."""
        if self._exclusive or self._waiting:
            return False
        self._shared += 1
        return True

    async def enter(self, alone: bool) -> None:
        """Wait until it is free for this use; the caller must call `leave` with the same argument."""
        if not alone:
            while self._exclusive or self._waiting:
                await self._until_changed()
            self._shared += 1
            return
        self._waiting += 1
        try:
            while self._exclusive or self._shared:
                await self._until_changed()
            self._exclusive = True
        finally:
            self._waiting -= 1
            if not self._exclusive:  # cancelled: those who wait behind may enter
                self._notify()

    def leave(self, alone: bool) -> None:
        """Release it."""
        if alone:
            self._exclusive = False
            self._notify()
            return
        self._shared -= 1
        if self._waiting and not self._shared:
            self._notify()

    async def _until_changed(self) -> None:
        await self._changed.wait()

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
