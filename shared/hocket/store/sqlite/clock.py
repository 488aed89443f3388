"""The clock of an SQLite store: the kit's own clock, with which what waits moves when it is corrected (RULES 11)."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from hocket.clock import Clock
from hocket.store.records import StoreTime
from hocket.store.sql import HORIZON, SWEPT
from hocket.store.sqlite import statements
from hocket.store.sqlite.timers import due as timers

#: Rows that one transaction moves.
MOVED_ROWS = 5000

Run = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]


class SqliteClock:
    """A `hocket.store.port.StoreClock`; `look` reads, `write` is a transaction of its own under the write lease."""

    shared = False

    def __init__(self, clock: Clock, look: Run, write: Run) -> None:
        self.horizon = 0.0
        self.moving = asyncio.Lock()  # held while rows move: nothing is claimed meanwhile
        self._clock = clock
        self._look = look
        self._write = write

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock.now().timestamp()

    async def time(self) -> StoreTime:
        """The kit's own clock, and the horizon."""
        self.horizon = await self._look(lambda connection: statements.noted(connection, HORIZON)) or 0.0
        return StoreTime(self.now(), self.horizon)

    async def put_right(self) -> int:
        """Bring near what a clock that was ahead has put too far away, in bounded steps; how many rows."""
        moved = 0
        while await self._look(lambda connection: statements.far(connection, self.now())):
            moved += await self._write(lambda connection: statements.put_right(connection, self.now(), MOVED_ROWS))
        while await self._look(lambda connection: timers.far(connection, self.now())):
            moved += await self._write(lambda connection: timers.put_right(connection, self.now(), MOVED_ROWS))
        return moved

    async def follow(self, seconds: float, adopt: Callable[[float], None]) -> None:
        """Move what waits by so many seconds, in bounded steps; then the clock, before anything is claimed or written.

        A process that dies between two steps leaves rows that are due too early or, until they are put right, too late.
        """
        after: int | None = 0
        run: bytes | None = b""
        async with self.moving:
            while after is not None:
                after = await self._write(partial(statements.shift, seconds=seconds, after=after, limit=MOVED_ROWS))
            while run is not None:
                run = await self._write(partial(timers.shift, seconds=seconds, after=run, limit=MOVED_ROWS))
            adopt(seconds)

    async def swept_within(self, seconds: float) -> bool:
        """Whether a sweep ended in the last so many seconds."""
        ended = await self._look(lambda connection: statements.noted(connection, SWEPT))
        return ended is not None and self.now() - seconds <= ended <= self.now()

    async def sweep_ended(self) -> None:
        """Note the moment."""
        await self._write(lambda connection: statements.note(connection, "swept", self.now()))

    async def move_horizon(self, keep: float, most: float) -> float:
        """Move the horizon towards `keep` seconds ago, forward by at most `most`; where it is then."""
        self.horizon = await self._write(
            lambda connection: statements.move_horizon(connection, self.now() - keep, most)
        )
        return self.horizon
