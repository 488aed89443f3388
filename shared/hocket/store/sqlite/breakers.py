"""Breakers on SQLite: one process decides, so the rows are in memory, and in the file whenever one has changed."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from hocket.clock import Clock
from hocket.resilience.breakers.row import BreakerRow, Decide, Sight
from hocket.store.port import Announce
from hocket.store.records import Ending, OutboxRow
from hocket.store.sql import BREAKER_NAMES, overwritten, question_marks
from hocket.store.sqlite import statements
from hocket.store.sqlite.connection import write_transaction

Run = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]

_ALL = f"SELECT {', '.join(BREAKER_NAMES)} FROM hocket_breakers ORDER BY name"  # noqa: S608 -- columns of our own table
_PUT = question_marks(
    f"INSERT INTO hocket_breakers ({', '.join(BREAKER_NAMES)}) "  # noqa: S608 -- columns of our own table
    f"VALUES ({', '.join(f'${at}' for at, _ in enumerate(BREAKER_NAMES, 1))}) "
    f"ON CONFLICT (name) DO UPDATE SET {overwritten(BREAKER_NAMES)}"
)


class SqliteBreakers:
    """A `hocket.store.port.StoreBreakers`; `look` reads, `write` is a transaction of its own under the write lease."""

    def __init__(self, clock: Clock, boot: str, look: Run, write: Run) -> None:
        self._clock = clock
        self._boot = boot
        self._look = look
        self._write = write
        self._rows: dict[str, BreakerRow] | None = None
        self._changing = asyncio.Lock()  # held while a change is being written: what is decided next must see it

    def news(self) -> tuple[int, float]:
        """Nobody else changes a row while this process holds the file."""
        return 0, self._clock.monotonic()

    async def decide(self, name: str, decide: Decide, announce: Announce) -> tuple[Sight, tuple[OutboxRow, ...]]:
        """Change one row; written where its version is another, or the row is new."""
        async with self._changing:
            rows = await self._loaded()
            row, now = rows.get(name), self._clock.now().timestamp()
            before = row or BreakerRow(name)
            after = decide(Sight(before, now, (self._boot,)))
            said: tuple[OutboxRow, ...] = ()
            if row is None or after.version != before.version:
                ending = announce(before, after) if after.version != before.version else None
                said = await self._write(partial(_put, row=after, ending=ending, boot=self._boot, now=now))
            rows[name] = after
            return Sight(after, now, (self._boot,)), said

    async def all(self) -> list[Sight]:
        """Every row, by name."""
        now = self._clock.now().timestamp()
        async with self._changing:
            return [Sight(row, now, (self._boot,)) for _, row in sorted((await self._loaded()).items())]

    async def living(self) -> Sequence[str]:
        """This process: no other may open the file."""
        return (self._boot,)

    async def _loaded(self) -> dict[str, BreakerRow]:
        if self._rows is None:
            self._rows = await self._look(_all)
        assert self._rows is not None
        return self._rows


def _all(connection: sqlite3.Connection) -> dict[str, BreakerRow]:
    return {values[0]: BreakerRow(*values) for values in connection.execute(_ALL)}


def _put(
    connection: sqlite3.Connection, *, row: BreakerRow, ending: Ending | None, boot: str, now: float
) -> tuple[OutboxRow, ...]:
    with write_transaction(connection):
        connection.execute(_PUT, row)
        if ending is None:
            return ()
        [written] = statements.write(connection, [ending], boot, now)
        return written.outbox
