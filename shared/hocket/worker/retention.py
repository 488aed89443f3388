"""Deletes rows of inbox and ledger that are older than their retention (RULES 2.7)."""

import asyncio
from dataclasses import dataclass

from hocket.config import Retention
from hocket.errors import StoreError
from hocket.runtime import Runtime
from hocket.store.records import Before

#: Rows of each table that one step examines, and seconds between two steps, so that deliveries are not slowed down.
STEP_ROWS = 500
STEP_WAIT = 0.05
#: Seconds between two sweeps through the tables.
SWEEP_WAIT = 3600.0
#: Seconds that a row is kept beyond its retention: clocks of services differ, and "too-old" must be decided first.
MARGIN = 3600.0


def cutoffs(keep: Retention, now: float) -> Before:
    """The moments before which rows may be deleted, in seconds since 1970."""
    past = now - MARGIN
    return Before(
        past - keep.inbox.total_seconds(), past - keep.dead.total_seconds(), past - keep.ledger.total_seconds()
    )


@dataclass(slots=True)
class RetentionSweeper:
    """Deletes old rows of one service's tables, step by step."""

    runtime: Runtime
    purged: int = 0  # rows deleted so far

    async def run(self) -> None:
        """Sweep each hour, first an hour after the start; an error of the store ends only the sweep in progress."""
        while True:
            await asyncio.sleep(SWEEP_WAIT)
            try:
                await self.sweep()
            except StoreError as error:
                self.runtime.trouble("old rows could not be deleted", reason=str(error))

    async def sweep(self) -> int:
        """Examine every row once, in bounded steps; how many were deleted."""
        removed = 0
        moments = cutoffs(self.runtime.config.retention(), self.runtime.clock.now().timestamp())
        while True:
            step = await self.runtime.store.purge(moments, STEP_ROWS)
            removed += step.removed
            self.purged += step.removed
            if step.done:
                return removed
            await asyncio.sleep(STEP_WAIT)
