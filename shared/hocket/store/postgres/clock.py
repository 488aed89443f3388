"""The database server's clock: what waits is due by it, whatever the clocks of the replicas say (RULES 11)."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg

from hocket.store.postgres import sql
from hocket.store.postgres.statements import rows_touched
from hocket.store.postgres.timers.due import PUT_RIGHT as PUT_TIMERS_RIGHT
from hocket.store.records import StoreTime

#: Rows that one statement brings near.
PUT_RIGHT_ROWS = 5000

Run = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]


class PostgresClock:
    """A `hocket.store.port.StoreClock`; `run` runs one statement on a connection of the kit's pool."""

    shared = True

    def __init__(self, run: Run) -> None:
        self.horizon = 0.0
        self._run = run

    async def time(self) -> StoreTime:
        """The server's clock, and the horizon that the sweeper of any replica has written."""
        found = StoreTime(*await self._run(lambda kit: kit.fetchrow(sql.TIME)))
        self.horizon = found.horizon
        return found

    async def put_right(self) -> int:
        """Bring near what a clock that was ahead has put too far away, leases too, in bounded steps; how many rows."""
        await self._run(lambda kit: kit.execute(sql.PUT_LEASES_RIGHT))
        moved = 0
        while step := rows_touched(await self._run(lambda kit: kit.execute(sql.PUT_RIGHT, PUT_RIGHT_ROWS))):
            moved += step
        while step := rows_touched(await self._run(lambda kit: kit.execute(PUT_TIMERS_RIGHT, PUT_RIGHT_ROWS))):
            moved += step
        return moved

    async def follow(self, seconds: float, adopt: Callable[[float], None]) -> None:
        """Nothing waits by the clock of this process: no row moves."""
        adopt(seconds)

    async def swept_within(self, seconds: float) -> bool:
        """Whether a sweep of any replica ended in the last so many seconds."""
        return bool(await self._run(lambda kit: kit.fetchval(sql.SWEPT, seconds)))

    async def sweep_ended(self) -> None:
        """Note the moment."""
        await self._run(lambda kit: kit.execute(sql.END_SWEEP))

    async def move_horizon(self, keep: float, most: float) -> float:
        """Move the horizon towards `keep` seconds ago, forward by at most `most`; where it is then."""
        self.horizon = float(await self._run(lambda kit: kit.fetchval(sql.MOVE_HORIZON, keep, most)))
        return self.horizon
