"""Swaps a generation in once it has handled all that the one before has (RULES 14.2).

First the one that serves is watched: each of its commits notes what it handles. Then all of the inbox is compared
without a lock; at last, under the lock of the row that the older one's commits share, what was noted meanwhile.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.declarations.subscription import Projected, Subscription
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.batch import BatchLane
from hocket.delivery.projecting.generations import Generation, building, may_swap, serving, swapped, unwatched, watched
from hocket.envelope.keys import GENERATION_MARK
from hocket.runtime import Runtime
from hocket.worker.projections.comparison import Missing, Pair, compare, fresh_missing, tidy_fresh
from hocket.worker.projections.making import types_of

#: Tries to find nothing missing under the lock, before all is compared again; and seconds between two of them.
TRIES, BETWEEN_SECONDS = 100, 0.05
#: Seconds for which one try may hold the lock, and between two looks within it: the newer one catches up meanwhile,
#: where it can write beside (PostgreSQL).
HOLD_SECONDS, LOOK_SECONDS = 0.1, 0.005
#: Seconds for which the older generation pauses in this process at each try, so that the newer one catches up.
PAUSE_SECONDS = 0.1


@dataclass(slots=True)
class Swap:
    """Tries to swap one generation in. `lane_of` gives the lane of a generation that runs in this process."""

    runtime: Runtime
    subscription: Subscription
    lane_of: Callable[[str], BatchLane | None]
    held: float = 0.0  # seconds for which the last try held the lock

    async def attempt(self) -> bool:
        """Try once; whether there is nothing more to try. What is missing is noted in its row."""
        watch = await self._watch()
        if watch is None:
            return True
        pair, number, forced = watch
        missing = Missing() if forced or not pair.old else await compare(self.runtime, pair)
        if missing.many:
            await self._unwatch(number, missing.sentence())
            return False
        for _ in range(TRIES):
            if (ended := await self._swap(pair, number)) is not None:
                return ended
            await asyncio.sleep(BETWEEN_SECONDS)
        await self._unwatch(number, "new events come faster than it handles them")
        return False

    @property
    def _projected(self) -> Projected:
        assert self.subscription.projected is not None
        return self.subscription.projected

    async def _watch(self) -> tuple[Pair, int, bool] | None:
        """From now on the one that serves notes what it handles; None: this generation must not be swapped in.

        With it the number of the watch, and whether a person lets it serve whatever is missing.
        """
        name, n = self._projected.name, self._projected.n
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            every = await rows.rows_of(db, name, lock=True)
            new, old = building(every), serving(every)
            if new is None or not may_swap(every, n):
                return None
            if old is not None and old.watched <= 0:
                await rows.forget_fresh(db, name)
                old = watched(old)
                await rows.write(db, every, [old], 0.0)
        queue = "" if old is None else f"{self.subscription.service}.{name}{GENERATION_MARK}{old.n}"
        pair = Pair(name, queue, self.subscription.identity, tuple(types_of(self.subscription)))
        return pair, 0 if old is None else old.watched, new.forced

    async def _unwatch(self, number: int, note: str) -> None:
        """End the watch, if it is still this one, and note why the generation does not serve."""
        name = self._projected.name
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            every = await rows.rows_of(db, name, lock=True)
            changed = [each._replace(note=note) for each in every if each.n == self._projected.n]
            old = serving(every)
            if old is not None and old.watched == number:
                changed.append(unwatched(old))
                await rows.forget_fresh(db, name)
            await rows.write(db, every, changed, 0.0)

    async def _swap(self, pair: Pair, number: int) -> bool | None:
        """One try under the lock: whether there is nothing more to try; None: try again soon."""
        clock, name = self.runtime.clock, self._projected.name
        if (lane := self.lane_of(pair.old)) is not None:
            lane.paused_until = clock.monotonic() + PAUSE_SECONDS
        now = (await self.runtime.store.clock.time()).now
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            await tidy_fresh(db, pair)
            old = serving(await rows.rows_of(db, name))
        async with self.runtime.store.transaction() as tx:
            db = await tx.db()
            every = await rows.rows_of(db, name, lock=old is None, only=None if old is None else old.n)
            began, old = clock.monotonic(), serving(every)
            if not may_swap(every, self._projected.n):
                return True
            if old is not None and old.watched != number:
                return False  # another process has ended the watch: what it handled since is not noted
            changed = swapped(every, self._projected.n, await self._caught_up(db, pair, building(every)))
            if changed:
                await rows.write(db, every, changed, now)
                await rows.forget_fresh(db, name)
        self.held = clock.monotonic() - began
        if not changed:
            return None
        if lane is not None:
            lane.paused_until = 0.0
        self._tell(changed)
        return True

    async def _caught_up(self, db: AsyncConnection, pair: Pair, new: Generation | None) -> bool:
        """Whether nothing is missing of what was noted; where others can write meanwhile, it waits a moment for it."""
        wait = self.runtime.store.replicas and new is not None and not new.forced
        end = self.runtime.clock.monotonic() + (HOLD_SECONDS if wait else 0.0)
        while await fresh_missing(db, pair):
            if self.runtime.clock.monotonic() >= end:
                return False
            await asyncio.sleep(LOOK_SECONDS)
        return True

    def _tell(self, changed: list[Generation]) -> None:
        for each in changed:
            self.runtime.signals.generation(self.runtime.service, self._projected.name, each.n, str(each.state))
