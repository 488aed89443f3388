"""Opens the store at the start; while it does not answer, tries again."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from sqlalchemy import MetaData

from hocket.errors import StoreError
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime
from hocket.worker.database_owner import claim

Step = Callable[[], Awaitable[None]]
#: Waits before a store that did not answer at the start is tried again.
OPEN_BACKOFF = Backoff(first=0.5, longest=5.0, jitter=0.5)


@dataclass(slots=True)
class StoreOpening:
    """Opens the store of a service; while the store does not answer, `reason` says why and the opening is repeated."""

    runtime: Runtime
    tables: MetaData | None
    reason: str = "the database is not open yet"

    async def start(self, begin: Step, work: Step) -> "asyncio.Task[None] | None":
        """Open the store, call `begin`, then `work`; where the store does not answer, return a task that does it later.

        `ConfigError` says what forbids the opening; the task raises it too.
        """
        try:
            await self._once(begin)
        except StoreError:
            return self.runtime.tasks.spawn("open", self._later(begin, work), may_end=True)
        await self._start_work(work)
        return None

    async def _once(self, begin: Step) -> None:
        try:
            await self.runtime.store.open(self.tables)
            try:
                await claim(self.runtime.store, self.runtime.service)
                await begin()
            except StoreError:
                await self.runtime.store.close()
                raise
        except StoreError as error:
            self.reason = str(error)
            self.runtime.trouble("the store does not answer at the start", reason=self.reason)
            raise

    async def _later(self, begin: Step, work: Step) -> None:
        await until_done(partial(self._once, begin), OPEN_BACKOFF, self.runtime.chance, on=StoreError, failures=1)
        await self._start_work(work)

    async def _start_work(self, work: Step) -> None:
        await work()
        self.reason = ""

    def check(self) -> None:
        """Raise `StoreError` while the service has not started."""
        if self.reason:
            raise StoreError(self.reason)
