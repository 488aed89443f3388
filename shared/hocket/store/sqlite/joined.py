"""The kit's statements on SQLite inside a transaction that an application owns, through its connection."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.store.joined import ApplicationTransaction, another_database
from hocket.store.records import Ending, InboxRow, Written
from hocket.store.sqlite import statements

T = TypeVar("T")

#: Takes the file's lock before an id is read: two writers must not give the same id.
_LOCK = "UPDATE hocket_meta SET value = value WHERE name = 'schema'"


class _StatementRunner:
    """The two methods of `sqlite3.Connection` that the kit's statements call, on the application's connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> CursorResult[Any]:
        """One statement."""
        return self._connection.exec_driver_sql(statement, tuple(values))

    def executemany(self, statement: str, values: Sequence[tuple[Any, ...]]) -> CursorResult[Any]:
        """One statement with several rows."""
        return self._connection.exec_driver_sql(statement, list(values))


class JoinedTx(ApplicationTransaction):
    """A `hocket.store.port.Joined` on SQLite: rows have no owner until the relay claims them after the commit."""

    def __init__(self, connection: AsyncConnection, path: str, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._path = path

    async def check(self) -> None:
        """`HocketError` where the connection is to another database."""
        if self._connection.dialect.name == "sqlite":
            for _, name, file in await self._run(lambda runner: runner.execute("PRAGMA database_list").fetchall()):
                if name == "main" and file and await asyncio.to_thread(Path(file).samefile, self._path):
                    return
        raise another_database(self._path)

    async def _run(self, work: Callable[[Any], T]) -> T:
        return await self._connection.run_sync(lambda connection: work(_StatementRunner(connection)))

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        now = self._clock.now().timestamp()

        def work(runner: Any) -> list[Written]:
            runner.execute(_LOCK)
            return statements.write(runner, endings, None, now)

        return await self._run(work)

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that this transaction sees."""
        return await self._run(partial(statements.inbox, keys=keys))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        return await self._run(partial(statements.cancel, schedule=schedule, now=self._clock.now().timestamp()))
