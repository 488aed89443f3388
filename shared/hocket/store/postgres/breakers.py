"""Breakers on PostgreSQL: one row a name, for all replicas, changed by who has seen it as it is (RULES 6.3).

A decision is a pure function of the row. The update compares every column with what was decided by: where another
replica was first, the row is read and decided again. So no row is locked while this process thinks, and two replicas
never both get the last slot.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from hocket.clock import Clock
from hocket.errors import StoreError
from hocket.resilience.breakers.row import BreakerRow, Decide, Sight
from hocket.store.port import Announce
from hocket.store.postgres import sql, statements
from hocket.store.records import Ending, OutboxRow, Written
from hocket.store.sql import BREAKER_NAMES

Run = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]

#: Times that other replicas may be first, one after the other; then the caller is told that the store does not answer.
MOST_TRIES = 100

_WIDTH = len(BREAKER_NAMES)


class PostgresBreakers:
    """A `hocket.store.port.StoreBreakers`; `run` runs on a connection of the kit's pool.

    `uncertain` is called where a change may have stored an event that nobody has in memory.
    """

    def __init__(self, clock: Clock, boot: str, run: Run, uncertain: Callable[[], None]) -> None:
        self._clock = clock
        self._boot = boot
        self._run = run
        self._uncertain = uncertain
        self._news = (0, float("-inf"))

    def news(self) -> tuple[int, float]:
        """The sum of the versions as an answer of the server last told it, and when (monotonic seconds)."""
        return self._news

    def told(self, total: int) -> None:
        """An answer of the server has told this sum."""
        self._news = (total, self._clock.monotonic())

    def heard(self, written: list[Written]) -> list[Written]:
        """What a commit has written, without the news: of each statement the first answer carries them."""
        told = [one.news for one in written if one.news is not None]
        if not told:
            return written
        self.told(told[-1])
        return [one if one.news is None else one._replace(news=None) for one in written]

    async def decide(self, name: str, decide: Decide, announce: Announce) -> tuple[Sight, tuple[OutboxRow, ...]]:
        """Change one row by a decision on what it is now, again where another replica was first."""
        for _ in range(MOST_TRIES):
            found = await self._run(lambda kit: kit.fetchrow(sql.BREAKER, name))
            if found is None:
                await self._run(lambda kit: kit.execute(sql.NEW_BREAKER, *BreakerRow(name)))
                continue
            sight = self._sight(found)
            after = decide(sight)
            if after == sight.row:
                return sight, ()
            ending = announce(sight.row, after) if after.version != sight.row.version else None
            said = await self._change(sight, after, ending)
            if said is not None:
                return sight._replace(row=after), said
        raise StoreError(f"breaker {name} was changed by other replicas {MOST_TRIES} times in a row")

    async def all(self) -> list[Sight]:
        """Every row, by name."""
        return [self._sight(found) for found in await self._run(lambda kit: kit.fetch(sql.BREAKERS))]

    async def living(self) -> Sequence[str]:
        """The processes whose lease lasts."""
        return tuple(await self._run(lambda kit: kit.fetchval(sql.LIVING)))

    def _sight(self, found: Any) -> Sight:
        values = tuple(found)
        self.told(values[-1])
        return Sight(BreakerRow(*values[:_WIDTH]), values[_WIDTH], tuple(values[_WIDTH + 1]))

    async def _change(self, sight: Sight, after: BreakerRow, ending: Ending | None) -> tuple[OutboxRow, ...] | None:
        """Write the row and what is said of it, whole; None: the row is no longer as it was seen."""
        values = (*after, *sight.row[1:])
        now = self._clock.now().timestamp()

        async def change(kit: asyncpg.Connection) -> tuple[OutboxRow, ...] | None:
            if ending is None:
                return () if statements.rows_touched(await kit.execute(sql.CHANGE_BREAKER, *values)) else None
            async with kit.transaction():
                if not statements.rows_touched(await kit.execute(sql.CHANGE_BREAKER, *values)):
                    return None
                [written] = await statements.write(kit, [ending], self._boot, now)
                return written.outbox

        try:
            said: tuple[OutboxRow, ...] | None = await self._run(change)
        except BaseException:
            if ending is not None:
                self._uncertain()
            raise
        return said
