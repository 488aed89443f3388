"""Opening the store, holding what this process owns, and taking over what others left behind (RULES 4.1)."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from sqlalchemy import MetaData

from hocket.errors import StoreError
from hocket.store.port import OWNER_RENEW_SECONDS, Store
from hocket.telemetry.signals import Signals

PROMISE = "what a process owned that is gone is owned by another within a lease; one that was late goes on"


LATE = "this process was paused, or its store was away, for longer than the lease; it goes on under a new one"

Step = Callable[[], Awaitable[None]]
Spawn = Callable[[str, Coroutine[Any, Any, None]], "asyncio.Task[None]"]

#: Seconds before a store that was away at the start is tried again: doubled from the first to the longest, half of it
#: left to chance.
OPEN_FIRST_WAIT = 0.5
OPEN_LONGEST_WAIT = 5.0


@dataclass(slots=True)
class Opening:
    """Opens the store of a service; while its server is away, `reason` says so and it is tried again."""

    service: str
    store: Store
    tables: MetaData | None
    signals: Signals
    chance: random.Random
    reason: str = "the database is not open yet"

    async def start(self, begin: Step, work: Step, spawn: Spawn) -> "asyncio.Task[None] | None":
        """Open, `begin` with it, then `work`; where it is away a task that does so later is returned.

        `ConfigError` says what forbids it, of the task too.
        """
        try:
            await self._once(begin)
        except StoreError:
            return spawn("open", self._later(begin, work))
        await self._go_on(work)
        return None

    async def _once(self, begin: Step) -> None:
        try:
            await self.store.open(self.tables)
            try:
                await begin()
            except StoreError:
                await self.store.close()
                raise
        except StoreError as error:
            self.reason = str(error)
            self.signals.trouble(self.service, "the store is away at the start", reason=self.reason)
            raise

    async def _later(self, begin: Step, work: Step) -> None:
        wait = OPEN_FIRST_WAIT
        while True:
            await asyncio.sleep(self.chance.uniform(wait / 2, wait))
            wait = min(wait * 2, OPEN_LONGEST_WAIT)
            with suppress(StoreError):
                await self._once(begin)
                break
        await self._go_on(work)

    async def _go_on(self, work: Step) -> None:
        await work()
        self.reason = ""

    def check(self) -> None:
        """`StoreError` while the service does not work yet."""
        if self.reason:
            raise StoreError(self.reason)


async def hold(
    service: str, store: Store, signals: Signals, look_again: Callable[[], None], suspect: Callable[[str], None]
) -> None:
    """Renew the lease and take over, for ever; `look_again` is told when the store holds rows never handed over.

    While the store does not answer the lease runs on, and `suspect` is told why, also where nobody else asks it. A
    lease that was over is begun anew: what others have taken meanwhile is theirs, and is published twice at most. Then
    nothing is taken over for one renewal: where the store was away from everybody, everybody is late.
    """
    while True:
        await asyncio.sleep(OWNER_RENEW_SECONDS)
        try:
            if not await store.renew():
                signals.trouble(service, "the lease was over before it was renewed", reason=LATE)
                look_again()
            elif await store.take_over():
                look_again()
        except StoreError as error:
            signals.trouble(service, "the lease could not be renewed", reason=str(error))
            suspect(str(error))
