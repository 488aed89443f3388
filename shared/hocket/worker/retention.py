"""How long the kit remembers, and the sweeper that forgets what is older (RULES 2.7)."""

import asyncio
from dataclasses import dataclass

from hocket.errors import StoreError
from hocket.runtime import Runtime
from hocket.store.records import Before, Retention

#: Rows that one step looks at in each table, and seconds between two steps: the store belongs to the work.
STEP_ROWS = 500
STEP_WAIT = 0.05
#: Seconds between two walks through the tables.
WALK_WAIT = 3600.0
#: Seconds for which a row outlives its retention: clocks of services differ, and too-old must come first.
MARGIN = 3600.0


def before(keep: Retention, now: float) -> Before:
    """The moments before which rows may be forgotten, in seconds since 1970."""
    past = now - MARGIN
    return Before(
        past - keep.inbox.total_seconds(), past - keep.dead.total_seconds(), past - keep.ledger.total_seconds()
    )


@dataclass(slots=True)
class RetentionSweeper:
    """Purges one service's tables, step by step, for ever."""

    runtime: Runtime
    purged: int = 0  # rows so far

    async def run(self) -> None:
        """One walk an hour, beginning an hour after the start; a store that fails ends the walk, not the sweeper."""
        while True:
            await asyncio.sleep(WALK_WAIT)
            try:
                await self.walk()
            except StoreError as error:
                self.runtime.signals.trouble(self.runtime.service, "old rows could not be purged", reason=str(error))

    async def walk(self) -> int:
        """Look at every row once, in bounded steps; how many were removed."""
        removed = 0
        moments = before(Retention(*self.runtime.config.retention()), self.runtime.clock.now().timestamp())
        while True:
            step = await self.runtime.store.purge(moments, STEP_ROWS)
            removed += step.removed
            self.purged += step.removed
            if step.done:
                return removed
            await asyncio.sleep(STEP_WAIT)
