"""What handlers get: SQLAlchemy over a connection that is ours.

A `BorrowedConnection` stands between SQLAlchemy and the place where statements run. It is made for one borrower and
asks at each statement whether the borrower may still write, so that nobody writes into a transaction that is not his.
Beginning and ending a transaction is the store's alone.
"""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NoReturn, Self

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from hocket.errors import HocketError
from hocket.store.sqlite.connection import SqliteConnection

#: Runs one function for a borrower, or raises because he may not (any more).
Run = Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]

_ENDS_BY_ITSELF = (
    "this transaction is hocket's: it commits when the handler returns and rolls back when it raises; "
    "do not begin, commit, roll back or close it (begin_nested() is there for a part that may fail)"
)
_CONTROL_WORDS = {"BEGIN", "COMMIT", "END"}


class HandlerConnection(AsyncConnection):
    """An `AsyncConnection` whose transaction belongs to the store."""

    refuse: Callable[[], NoReturn]

    def begin(self) -> NoReturn:
        """Raise: the transaction is open already."""
        self.refuse()


class _Cursor:
    """A cursor in the form SQLAlchemy asks for; statement and rows are one hop."""

    arraysize = 1

    def __init__(self, loan: "BorrowedConnection") -> None:
        self._loan = loan
        self._rows: list[Any] = []
        self.description: Any = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: Any = ()) -> None:
        await self._run(sql, lambda cursor: cursor.execute(sql, parameters))

    async def executemany(self, sql: str, parameters: Any) -> None:
        await self._run(sql, lambda cursor: cursor.executemany(sql, parameters))

    async def _run(self, sql: str, work: Callable[[sqlite3.Cursor], object]) -> None:
        self._loan.allow(sql)

        def hop(connection: sqlite3.Connection) -> None:
            cursor = connection.cursor()
            try:
                work(cursor)
                self.description, self.lastrowid = cursor.description, cursor.lastrowid
                self._rows = cursor.fetchall() if cursor.description else []
                self.rowcount = cursor.rowcount
            finally:
                cursor.close()

        await self._loan.run(hop)

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


class BorrowedConnection:
    """One connection lent to one borrower, in the form of an aiosqlite connection."""

    def __init__(self, place: SqliteConnection, run: Run, misused: Callable[[HocketError], None]) -> None:
        self._place = place
        self.run = run
        self.may_end = True  # until the borrower has it: SQLAlchemy's own first look rolls back
        self._misused = misused
        self._connection = True  # SQLAlchemy asks whether there is a connection below

    def allow(self, sql: str) -> None:
        """Refuse statements that begin or end a transaction."""
        words = sql.split(None, 2)[:2]
        first = words[0].upper().rstrip(";") if words else ""
        whole_rollback = first == "ROLLBACK" and (len(words) == 1 or words[1].upper() != "TO")
        if first in _CONTROL_WORDS or whole_rollback:
            self.refuse()

    def cursor(self) -> _Cursor:
        """A new cursor."""
        return _Cursor(self)

    async def commit(self) -> None:
        """Refuse, unless the borrower may."""
        if not self.may_end:
            self.refuse()

    async def rollback(self) -> None:
        """Refuse, unless the borrower may."""
        if not self.may_end:
            self.refuse()

    def refuse(self) -> NoReturn:
        """Raise, and have the transaction rolled back even where the borrower goes on."""
        error = HocketError(_ENDS_BY_ITSELF)
        self._misused(error)
        raise error

    async def create_function(self, name: str, count: int, function: Callable[..., Any], **options: Any) -> None:
        """Install an SQL function of SQLAlchemy's, once for a connection."""
        if name not in self._place.functions:
            self._place.functions.add(name)
            self._place.post(lambda connection: connection.create_function(name, count, function, **options))

    async def close(self) -> None:
        """The connection stays open: it was only lent."""

    def stop(self) -> None:
        """The connection stays open: it was only lent."""


class ConnectionLender:
    """Hands out `AsyncConnection`s over one place."""

    def __init__(self, place: SqliteConnection) -> None:
        self._place = place
        self._next: BorrowedConnection | None = None
        self._engine: AsyncEngine = create_async_engine(
            "sqlite+aiosqlite://", poolclass=NullPool, async_creator=self._lend, pool_reset_on_return=None
        )

    async def _lend(self) -> Any:
        return self._next

    async def lend(
        self, run: Run, *, may_end: bool, misused: Callable[[HocketError], None]
    ) -> tuple[AsyncConnection, BorrowedConnection]:
        """A connection for one borrower; hand both back to `take_back`."""
        loan = self._next = BorrowedConnection(self._place, run, misused)
        connection = HandlerConnection(self._engine)
        connection.refuse = loan.refuse
        await connection.start()
        loan.may_end = may_end
        return connection, loan

    async def take_back(self, connection: AsyncConnection, loan: BorrowedConnection) -> None:
        """Close it for the borrower; the transaction below is untouched."""
        loan.may_end = True
        await connection.close()
