"""The kit's statements inside a transaction that an application owns, through the application's own connection."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, event
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import HocketError
from hocket.saga.ledger import LedgerRow
from hocket.store.records import Ending, InboxRow, Offset, Written
from hocket.store.sqlite import statements

T = TypeVar("T")

#: Takes the file's lock before an id is read: two writers must not give the same one.
_LOCK = "UPDATE hocket_meta SET value = value WHERE name = 'schema'"


class _Guest:
    """As much of an `sqlite3.Connection` as the kit's statements need, over the application's connection."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def execute(self, statement: str, values: Sequence[Any] = ()) -> CursorResult[Any]:
        """One statement."""
        return self._connection.exec_driver_sql(statement, tuple(values))

    def executemany(self, statement: str, values: Sequence[tuple[Any, ...]]) -> CursorResult[Any]:
        """One statement with several rows."""
        return self._connection.exec_driver_sql(statement, list(values))


class JoinedTx:
    """A `hocket.store.port.Joined` on SQLite: rows have no owner until the relay claims them after the commit."""

    def __init__(self, connection: AsyncConnection, path: str, clock: Clock) -> None:
        self._connection = connection
        self._path = path
        self._clock = clock

    async def check(self) -> None:
        """`HocketError` where the connection is to another database."""
        if self._connection.dialect.name == "sqlite":
            for _, name, file in await self._run(lambda guest: guest.execute("PRAGMA database_list").fetchall()):
                if name == "main" and file and await asyncio.to_thread(Path(file).samefile, self._path):
                    return
        raise HocketError(
            f"tx(connection=…) joins a transaction on the service's own database {self._path}, and this connection "
            "is to another: give the application's engine the same database, or leave connection= out"
        )

    async def _run(self, work: Callable[[Any], T]) -> T:
        return await self._connection.run_sync(lambda connection: work(_Guest(connection)))

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        now = self._clock.now().timestamp()

        def work(guest: Any) -> list[Written]:
            guest.execute(_LOCK)
            return statements.write(guest, endings, None, now)

        return await self._run(work)

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that this transaction sees."""
        return await self._run(partial(statements.inbox, keys=keys))

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows of these runs."""
        return await self._run(partial(statements.ledger, runs=runs))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        return await self._run(partial(statements.cancel, schedule=schedule, now=self._clock.now().timestamp()))

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        return await self._run(partial(statements.offset, reader=reader))

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset."""
        return await self._run(partial(statements.advance, reader=reader, seen=seen, to=to))

    async def db(self) -> AsyncConnection:
        """The application's own connection."""
        return self._connection

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` when the application commits: just before the database has done it."""
        event.listen(self._connection.sync_connection, "commit", lambda _: call(), once=True)
