"""Calls time-outs that are due: each writes its alarm, which goes to the end of its own queue (RULES 5.7 d)."""

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from hocket.declarations.subscription import Subscription
from hocket.errors import StoreError
from hocket.outbox.backlog import MORE_SECONDS, WRITE_BACKOFF, Backlog
from hocket.runtime import Runtime
from hocket.store.timers import TimersWaiting

#: Time-outs that one statement calls.
CALL_ROWS = 1024


@dataclass(slots=True)
class TimerCaller:
    """Calls the time-outs of one service's subscriptions; what nobody subscribes any more is not called, and listed."""

    runtime: Runtime
    backlog: Backlog
    subscriptions: Mapping[str, Subscription]
    mine: list[str] = field(init=False)
    waiting: TimersWaiting = field(default_factory=TimersWaiting)
    _look: asyncio.Event = field(default_factory=asyncio.Event)
    _calling: bool = False

    def __post_init__(self) -> None:
        self.mine = [queue for queue, each in self.subscriptions.items() if each.overdue is not None]

    async def begin(self) -> None:
        """Take what was armed under former names. Raises `StoreError`."""
        for queue in self.mine:
            for former in self.subscriptions[queue].former_queues:
                await self.runtime.store.timers.rename(former, queue)

    def look(self) -> None:
        """Something was armed: ask when the next one is due."""
        self._look.set()

    def look_at_all(self) -> None:
        """What waits may be due earlier than it was thought: ask for all of it."""
        self.backlog.claim_now()
        self.look()

    @property
    def idle(self) -> bool:
        """Whether nothing is being called."""
        return not self._calling

    async def run(self) -> None:
        """Call what is due, for ever; does not wait longer than for what another process may have armed."""
        look = self.runtime.config.outbox_look_seconds
        while True:
            self._look.clear()
            self._calling = True
            try:
                wait = await self.call()
            except StoreError:
                wait = WRITE_BACKOFF.first
            self._calling = False
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(look if wait is None else min(wait, look)):
                    await self._look.wait()

    async def call(self) -> float | None:
        """Call in steps of `CALL_ROWS`; the seconds until the next one is due, None: none is armed."""
        timers = self.runtime.store.timers
        alarms = await timers.call_due(self.mine, CALL_ROWS)
        self.backlog.add(alarms)
        if len(alarms) == CALL_ROWS:
            return 0.0
        wait = await timers.next_due(self.mine)
        return None if wait is None else max(wait, MORE_SECONDS)

    async def count(self) -> TimersWaiting:
        """How many are armed, and how late the oldest is called. Raises `StoreError`."""
        if self.mine:
            self.waiting = await self.runtime.store.timers.waiting(self.mine)
        return self.waiting
