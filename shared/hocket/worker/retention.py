"""Deletes what is older than its retention: inbox, ledger, subjects, time-outs, webhooks (RULES 2.7, 5.7, 12.2, 15.2).

How far the inbox forgets is written first, as the horizon in `hocket_meta`. Only then, and after every replica has read
it, rows are deleted: what is `too-old` is decided by what was forgotten, never by what time it is.
"""

import asyncio
import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from hocket.declarations.subscription import Subscription
from hocket.errors import StoreError
from hocket.runtime import Runtime
from hocket.setting_groups import Retention
from hocket.store.meta import meta_of, set_meta
from hocket.store.purge import EMPTIED_SECONDS, MARGIN
from hocket.store.records import Before
from hocket.store.renaming import AcrossStep
from hocket.store.subjects.purge import purge as purge_subjects
from hocket.worker.commands.rows import purge_commands
from hocket.worker.webhooks.kept import forget

#: Rows of each table that one step examines, and seconds between two steps, so that deliveries are not slowed down.
STEP_ROWS = 500
STEP_WAIT = 0.05
#: Seconds between two sweeps through the tables.
SWEEP_WAIT = 3600.0
#: Seconds after the start before which the first sweep begins, so that short-lived processes sweep too; at random
#: between these, so that replicas do not begin together.
FIRST_WAIT = (5.0, 60.0)
#: The name in `hocket_meta` of the steps that were `across` when the ledger was last walked through.
ACROSS = "across"
#: Seconds by which one sweep moves the horizon at most. A clock that is far ahead takes no more memory from the inbox;
#: a service that was down for a month catches up in ten days.
HORIZON_STEP = 4 * SWEEP_WAIT


def cutoffs(keep: Retention, horizon: float, remembers: Mapping[str, timedelta]) -> Before:
    """The moments before which rows may be deleted, in seconds since 1970; `remembers` by step, never sooner."""

    def moment(kept: timedelta) -> float:
        return horizon - (kept - keep.inbox).total_seconds()

    longer = {step: moment(kept) for step, kept in remembers.items() if kept > keep.ledger}
    return Before(moment(keep.inbox), moment(keep.dead), moment(keep.ledger), longer)


def remembered(subscriptions: Iterable[Subscription]) -> dict[str, timedelta]:
    """How long runs that took effect are kept, by step and by each of its former names (RULES 5.4)."""
    return {
        name: each.undone_by.undo.remember
        for each in subscriptions
        if each.undone_by is not None and each.undone_by.undo is not None and each.undone_by.undo.remember is not None
        for name in (each.queue, *each.former_queues)
    }


def across_steps(subscriptions: Iterable[Subscription]) -> dict[str, AcrossStep]:
    """The steps whose runs are found by their scope alone, by name and each former name (RULES 5.1).

    Of a scope with a sensitive value the ledger has a key only, from which no name is made.
    """
    return {
        name: AcrossStep(each.identity, len(undo.by))
        for each in subscriptions
        if each.undone_by is not None and (undo := each.undone_by.undo) is not None and undo.across and not undo.secret
        for name in (each.queue, *each.former_queues)
    }


@dataclass(slots=True)
class RetentionSweeper:
    """Deletes old rows of one service's tables, step by step, and renames runs of steps that are `across` now."""

    runtime: Runtime
    remembers: Mapping[str, timedelta] = field(default_factory=dict)  # by step; see `remembered`
    across: Mapping[str, AcrossStep] = field(default_factory=dict)  # by step; see `across_steps`
    purged: int = 0  # rows deleted so far

    async def begin(self) -> None:
        """Before the service hears anything: where the inbox has no horizon yet, it begins here."""
        await self._move_horizon(0.0)

    async def _move_horizon(self, most: float) -> float:
        keep = self.runtime.config.retention().inbox.total_seconds() + MARGIN
        return await self.runtime.store.clock.move_horizon(keep, most)

    async def run(self) -> None:
        """Sweep each hour, first soon after the start, unless another process has swept in the last hour.

        That does not count where it knew of other steps that are `across`.

        An error of the store ends only the sweep in progress.
        """
        wait = random.Random(self.runtime.instance.boot).uniform(*FIRST_WAIT)
        while True:
            await asyncio.sleep(wait)
            wait = SWEEP_WAIT
            try:
                if await self._switched() or not await self.runtime.store.clock.swept_within(SWEEP_WAIT):
                    await self.sweep()
            except StoreError as error:
                self.runtime.trouble("old rows could not be deleted", reason=str(error))

    async def sweep(self) -> int:
        """Write the horizon, let every replica read it, then examine every row once; how many were deleted."""
        removed = 0
        horizon = await self._move_horizon(HORIZON_STEP)
        await asyncio.sleep(2 * self.runtime.config.owner_renew_seconds)
        now = (await self.runtime.store.clock.time()).now
        moments = cutoffs(self.runtime.config.retention(), horizon, self.remembers)
        boot = self.runtime.instance.boot
        moments = moments._replace(emptied=now - EMPTIED_SECONDS, across=self.across, boot=boot)
        renamed = taken = 0
        while True:
            step = await self.runtime.store.purge(moments, STEP_ROWS)
            removed += step.removed
            self.purged += step.removed
            renamed, taken = renamed + step.renamed, taken + step.taken
            if step.done:
                break
            await asyncio.sleep(STEP_WAIT)
        await self._renamed(renamed, taken)
        removed += await self._forget_webhooks(now, moments.inbox)
        removed += await self._purge_commands(moments.inbox)
        async for gone in purge_subjects(self.runtime.store, moments.inbox, STEP_ROWS):
            removed += gone
            self.purged += gone
            await asyncio.sleep(STEP_WAIT)
        while True:
            step = await self.runtime.store.timers.purge(moments.ledger, STEP_ROWS)
            removed += step.removed
            self.purged += step.removed
            if step.done:
                await self.runtime.store.clock.sweep_ended()
                return removed
            await asyncio.sleep(STEP_WAIT)

    async def _forget_webhooks(self, now: float, settled_before: float) -> int:
        removed = 0
        while step := await forget(self.runtime.store, now, settled_before, STEP_ROWS):
            removed, self.purged = removed + step, self.purged + step
            await asyncio.sleep(STEP_WAIT)
        return removed

    async def _purge_commands(self, before: float) -> int:
        """Answers live as long as the inbox remembers (RULES 13.5)."""
        removed = 0
        after: bytes | None = b""
        while after is not None:
            gone, after = await purge_commands(self.runtime.store, before, after, STEP_ROWS)
            removed += gone
            self.purged += gone
            if after is not None:
                await asyncio.sleep(STEP_WAIT)
        return removed

    def _steps(self) -> str:
        return json.dumps(sorted(self.across))

    async def _switched(self) -> bool:
        """Whether no sweep has come to its end yet that knew these steps as `across`."""
        async with self.runtime.store.read() as db:
            return (await meta_of(db, ACROSS) or "[]") != self._steps()

    async def _renamed(self, renamed: int, taken: int) -> None:
        """The walk through the ledger is over: say what it did, and note which steps it was about."""
        if renamed:
            self.runtime.trouble("step runs were renamed: their step is across=True now", runs=renamed)
        if taken:
            self.runtime.trouble("step runs keep the name of their flow: another one has their scope", runs=taken)
        if await self._switched():
            async with self.runtime.store.transaction() as tx:
                await set_meta(await tx.db(), ACROSS, self._steps())


def sweeper_of(runtime: Runtime, subscriptions: Iterable[Subscription]) -> RetentionSweeper:
    """The sweeper of a service that declares these."""
    every = list(subscriptions)
    return RetentionSweeper(runtime, remembered(every), across_steps(every))
