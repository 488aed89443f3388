"""One SQLite connection and where its statements run: in a thread of its own, or at once in the event loop.

Functions that are given to one connection run one after another, in the order in which they were given. A caller that
is cancelled does not stop its function: it runs to its end.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol, TypeVar

import aiosqlite

from hocket.errors import StoreError

T = TypeVar("T")

#: Statements kept prepared on one connection.
PREPARED = 256
#: Seconds to wait for the thread of a connection that did not open.
LAST_SECONDS = 2.0


class SqliteConnection(Protocol):
    """Where the statements of one connection run."""

    functions: set[str]  # SQL functions that SQLAlchemy has installed here

    async def start(self) -> None:
        """Open the connection; what SQLite raises comes through."""
        ...

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` and return its result."""
        ...

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run `work` after all given before, without waiting for it."""
        ...

    def interrupt(self) -> None:
        """Make the statement that runs now fail."""
        ...

    async def close(self) -> None:
        """Close after all given before; an open transaction is rolled back."""
        ...


class ThreadConnection(aiosqlite.Connection):
    """A connection with a thread of its own: one hop a function."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connect, iter_chunk_size=64)
        self.functions: set[str] = set()
        self._thread.daemon = True  # a process that exits without closing must not hang
        self._thread.name = "hocket-sqlite"

    async def start(self) -> None:
        """Start the thread and open the connection in it."""
        try:
            await self
        except BaseException:
            self._thread.join(LAST_SECONDS)  # it must not call a loop that is closed by then
            raise

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in the thread."""
        if self._connection is None or not self._running:
            raise StoreError("the database is closed: this process is stopping")
        result: T = await self._execute(work, self._connection)  # type: ignore[no-untyped-call]
        return result

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Queue `work` for the thread."""
        if self._connection is not None:
            self._tx.put_nowait((None, partial(work, self._connection)))

    def interrupt(self) -> None:  # type: ignore[override]  # the base class makes a coroutine of a plain call
        """Make the statement that runs now fail; may be called while the thread is at work."""
        if self._connection is not None:
            self._connection.interrupt()


class InlineConnection:
    """A connection without a thread, for virtual time: every function runs at once, nothing is waited for."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._open: sqlite3.Connection | None = None
        self.functions: set[str] = set()

    async def start(self) -> None:
        """Open the connection."""
        self._open = self._connect()

    async def call(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` now."""
        if self._open is None:
            raise StoreError("the database is closed: this process is stopping")
        return work(self._open)

    def post(self, work: Callable[[sqlite3.Connection], object]) -> None:
        """Run `work` now."""
        if self._open is not None:
            work(self._open)

    def interrupt(self) -> None:
        """Nothing can be running."""

    async def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None


def in_parts(rows: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """The rows in parts of `most` and then of smaller powers of two: few sizes, so that statements stay prepared."""
    start, size = 0, most
    while start < len(rows):
        while size > len(rows) - start:
            size //= 2
        yield rows[start : start + size]
        start += size


def begin(connection: sqlite3.Connection) -> None:
    """Begin a write transaction: the lock of the file is taken now and not at the first write."""
    connection.execute("BEGIN IMMEDIATE")


def commit(connection: sqlite3.Connection) -> None:
    """Commit; where that fails nothing stays open."""
    try:
        connection.execute("COMMIT")
    except BaseException:
        roll_back(connection)
        raise


def drop_temporary(connection: sqlite3.Connection) -> None:
    """Drop what is temporary: it would stay on the connection that all handlers share."""
    made = connection.execute("SELECT type, name FROM sqlite_temp_master WHERE type IN ('table', 'view', 'trigger')")
    for kind, name in made.fetchall():
        quoted = name.replace('"', '""')
        connection.execute(f'DROP {kind} IF EXISTS temp."{quoted}"')


def roll_back(connection: sqlite3.Connection) -> None:
    """Roll back whatever is open; SQLite may have done it already (a full disk)."""
    if connection.in_transaction:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


class write_transaction:  # noqa: N801 -- a context manager; a class, because a generator costs twice as much
    """A write transaction around a block of statements; an error of the block rolls it back."""

    __slots__ = ("_connection",)

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> None:
        begin(self._connection)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            commit(self._connection)
        else:
            roll_back(self._connection)
