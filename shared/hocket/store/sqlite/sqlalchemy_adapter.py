"""SQLAlchemy over a SQLite connection that the store keeps open: one hop to its thread for each statement.

SQLAlchemy's aiosqlite driver makes three hops for a statement (cursor, execute, fetch), hence a cursor of our own. A
`_DriverConnection` is made for each borrower, so that a statement of one borrower never runs in the transaction of
another. What handlers may do on it is decided in `hocket.store.handler_connection`.
"""

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from hocket.errors import HocketError
from hocket.store.handler_connection import READ_REFUSAL, Borrower, HandlerConnection, ReadConnection, Reader
from hocket.store.sqlite.connection import SqliteConnection
from hocket.store.sqlite.errors import blames_file, store_error

#: Runs one function on the connection for a borrower, or raises because the borrower may not run any (more).
Run = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]

#: Connections for snapshots that are kept open while nobody reads.
MOST_IDLE = 8

C = TypeVar("C", bound=HandlerConnection | ReadConnection)

#: What changes the connection and not the data: a PRAGMA with a value, a further file.
_CHANGES = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*+(?:PRAGMA\s+(?:\w+\s*\.\s*)?(?P<pragma>\w+)\s*[=(]|(?P<file>ATTACH|DETACH)\b)",
    re.IGNORECASE | re.DOTALL,
)
#: The PRAGMAs among them that only look, or are rolled back with the transaction.
_HARMLESS = re.compile(
    r"(table|index|foreign_key|database|function|module|pragma|collation)_x?(list|info)"
    r"|(integrity|quick|foreign_key)_check|defer_foreign_keys|user_version|application_id"
)
#: What a handler reads that changes the connection.
CONNECTION_REFUSAL = (
    "{} changes the one connection by which every handler and hocket itself write: leave it as it is, or open a "
    "connection of your own (PRAGMA defer_foreign_keys is there, and ends with the transaction)"
)


class _Cursor:
    """A cursor with the methods that SQLAlchemy calls; a statement and its rows are one hop."""

    arraysize = 1

    def __init__(self, run: Run, borrower: Borrower) -> None:
        self._hop = run
        self._borrower = borrower
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        self._admit(sql)
        await self._run(lambda cursor: cursor.execute(sql, parameters))

    async def executemany(self, sql: str, parameters: Any) -> None:
        self._admit(sql)
        await self._run(lambda cursor: cursor.executemany(sql, parameters))

    def _admit(self, sql: str) -> None:
        """Asked here and not by SQLAlchemy, because the driver's own cursor is this one too."""
        self._borrower.admit(sql)
        found = _CHANGES.match(sql)
        if found is None:
            return
        if found["file"]:
            raise HocketError(CONNECTION_REFUSAL.format(found["file"].upper()))
        if not _HARMLESS.fullmatch(found["pragma"].lower()):
            raise HocketError(CONNECTION_REFUSAL.format(f"PRAGMA {found['pragma']}"))

    async def _run(self, work: Callable[[sqlite3.Cursor], object]) -> None:
        def hop(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                work(cursor)
                self.description, self.lastrowid = cursor.description, cursor.lastrowid
                self._rows = cursor.fetchall() if cursor.description else []
                self.rowcount = cursor.rowcount
            finally:
                cursor.close()

        await self._hop(hop)

    async def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    async def fetchmany(self, size: int | None = None) -> Sequence[Any]:
        taken, self._rows = self._rows[: size or self.arraysize], self._rows[size or self.arraysize :]
        return taken

    async def fetchall(self) -> Sequence[Any]:
        taken, self._rows = self._rows, []
        return taken

    async def close(self) -> None:
        """The cursor in SQLite is closed already."""


class _DriverConnection:
    """One of the store's connections for one borrower, with the methods that SQLAlchemy calls on an aiosqlite one."""

    def __init__(
        self, connection: SqliteConnection, handed_out: HandlerConnection | ReadConnection, run: Run, borrower: Borrower
    ) -> None:
        self._sqlite = connection
        self._handed_out = handed_out
        self._run = run
        self._borrower = borrower
        self._connection = True  # SQLAlchemy asks whether there is a connection below

    def cursor(self) -> _Cursor:
        """A new cursor."""
        return _Cursor(self._run, self._borrower)

    async def commit(self) -> None:
        """Refused while a handler has the connection; otherwise nothing, since the store commits."""
        self._handed_out.refuse_end()

    async def rollback(self) -> None:
        """Refused while a handler has the connection; otherwise nothing, since the store rolls back."""
        self._handed_out.refuse_end()

    async def create_function(self, name: str, count: int, function: Callable[..., Any], **options: Any) -> None:
        """Install an SQL function of SQLAlchemy's, once for a connection."""
        if name not in self._sqlite.functions:
            self._sqlite.functions.add(name)
            self._sqlite.post(lambda connection: connection.create_function(name, count, function, **options))

    async def close(self) -> None:
        """The connection stays open: it is the store's."""

    def stop(self) -> None:
        """The connection stays open: it is the store's."""


class SqliteEngine(Generic[C]):
    """SQLAlchemy's engine over one of the store's connections: for handlers, or for reads."""

    def __init__(self, connection: SqliteConnection, kind: type[C]) -> None:
        self._sqlite = connection
        self._kind = kind
        self._next: _DriverConnection | None = None
        self._engine: AsyncEngine = create_async_engine(
            "sqlite+aiosqlite://",
            poolclass=NullPool,
            async_creator=self._connect,
            pool_reset_on_return=None,
            hide_parameters=True,  # an error would quote them (RULES 18.1)
        )

    async def _connect(self) -> Any:
        return self._next

    async def borrow(self, borrower: Borrower, run: Run) -> C:
        """A connection for one borrower, whose statements `run` runs; give it back with its `release`."""
        connection = self._kind(self._engine)
        self._next = _DriverConnection(self._sqlite, connection, run, borrower)
        await connection.start_for(borrower)
        return connection


class Snapshots:
    """Lends connections that see one moment each; `path` names the database, `check` raises where it is closed."""

    def __init__(self, make: Callable[[], SqliteConnection], path: str, check: Callable[[], None]) -> None:
        self._make, self._path, self._check = make, path, check
        self._idle: list[tuple[SqliteConnection, SqliteEngine[ReadConnection]]] = []

    async def start(self) -> None:
        """Nothing: a connection is opened when it is first needed."""

    async def close(self) -> None:
        """Close what nobody reads from; the others are closed by their readers."""
        while self._idle:
            await self._idle.pop()[0].close()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[ReadConnection]:
        """Committed data as it is at the first statement, for all statements alike; writing raises."""
        self._check()
        if self._idle:
            sqlite, engine = self._idle.pop()
        else:
            sqlite = self._make()
            await sqlite.start()
            engine = SqliteEngine(sqlite, ReadConnection)
        reader, whole = Reader(), False
        try:
            await sqlite.call(lambda connection: connection.execute("BEGIN"))
            lent = await engine.borrow(reader, lambda work: self._run(sqlite, reader, work))
            try:
                yield lent
            finally:
                reader.end_with("this snapshot has ended: its connection is no longer usable")
                await lent.release()
            await sqlite.call(lambda connection: connection.execute("ROLLBACK"))
            whole = True
        finally:
            if whole and len(self._idle) < MOST_IDLE:
                self._idle.append((sqlite, engine))
            else:
                await sqlite.close()

    async def _run(self, sqlite: SqliteConnection, reader: Reader, work: Callable[[sqlite3.Connection], Any]) -> Any:
        self._check()
        reader.check()
        try:
            return await sqlite.call(work)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
                raise HocketError(READ_REFUSAL) from error
            if blames_file(error):
                raise store_error(self._path, error) from error
            raise
