"""Who is next among the subscriptions of one process that share a breaker: the longest ungranted first (RULES 6.8)."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

#: Seconds for which a subscription that said when it asks again may come late, before the others go on without it.
LATE_SECONDS = 0.5


class Turns:
    """Slots and tokens go in turn. Times are monotonic seconds; `who` is a queue, "" for calls outside handlers."""

    def __init__(self) -> None:
        self._grants = 0
        self._last: dict[str, int] = {}  # by who: the number of its last grant
        self._waits: dict[str, float] = {}  # by who, in order of asking: until when it counts as waiting
        self._busy = False
        self._queues: dict[str, deque[asyncio.Future[None]]] = {}  # of calls, by who, in order of asking

    def granted(self, who: str) -> None:
        """It got a slot or a token, or may begin deliveries that want one."""
        self._grants += 1
        self._last[who] = self._grants
        self._waits.pop(who, None)

    def waits(self, who: str, now: float, seconds: float) -> None:
        """It has deliveries, got no place, and asks again after so long."""
        self._waits[who] = now + seconds + LATE_SECONDS

    def anew(self, now: float) -> None:
        """The breaker has changed, and all are asked again: who still waits says so now."""
        self._waits = {who: min(until, now + LATE_SECONDS) for who, until in self._waits.items()}

    def is_next(self, who: str, now: float) -> bool:
        """Whether no other that waits was granted longer ago."""
        for other, until in list(self._waits.items()):
            if until < now:
                del self._waits[other]
            elif other != who and self._age(other) < self._age(who):
                return False
        return True

    def _age(self, who: str) -> int:
        return self._last.get(who, 0)

    @asynccontextmanager
    async def turn(self, who: str) -> AsyncIterator[None]:
        """One call at a time; whoever waits comes by subscription, and within one in order of asking."""
        await self._enter(who)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, who: str) -> None:
        if not self._busy:
            self._busy = True
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queues.setdefault(who, deque()).append(woken)
        try:
            await woken
        except asyncio.CancelledError:
            if woken.done() and not woken.cancelled():  # its turn had come
                self._leave()
            raise

    def _leave(self) -> None:
        while self._queues:
            who = min(self._queues, key=self._age)
            queue = self._queues[who]
            woken = queue.popleft()
            if not queue:
                del self._queues[who]
            if not woken.done():  # else it was cancelled
                woken.set_result(None)
                return
        self._busy = False
