"""One open write transaction of SQLite, and the lease it is held under."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import LeaseExpired, StoreError
from hocket.saga.ledger import LedgerRow
from hocket.store.records import Ending, Offset, Written
from hocket.store.sqlite import statements
from hocket.store.sqlite.connection import SqliteConnection, roll_back
from hocket.store.sqlite.errors import blames_file, blames_store, sentence
from hocket.store.sqlite.handler_connection import BorrowedConnection, ConnectionLender

T = TypeVar("T")


class SqliteTx:
    """A `hocket.store.port.Tx`. It begins with its first statement; `end` commits, `give_up` rolls back."""

    def __init__(self, path: str, place: SqliteConnection, lender: ConnectionLender, boot: str, clock: Clock) -> None:
        self._path = path
        self._place = place
        self._lender = lender
        self._boot = boot
        self._clock = clock
        self._begun = False
        self._fence: tuple[type[StoreError], str] | None = None
        self._doomed: Exception | None = None
        self._lent: tuple[AsyncConnection, BorrowedConnection] | None = None
        self._lending = asyncio.Lock()

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order. After an error the transaction can only roll back."""
        now = self._clock.now().timestamp()
        try:
            return await self._kit(lambda connection: statements.write(connection, endings, self._boot, now))
        except Exception as error:
            self._doom(error)
            raise

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows of these runs, of earlier boots without owner; nobody else writes until the end."""
        return await self._kit(lambda connection: statements.ledger(connection, runs, self._boot))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        now = self._clock.now().timestamp()
        return await self._kit(lambda connection: statements.cancel(connection, schedule, now))

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        return await self._kit(lambda connection: statements.offset(connection, reader))

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset."""
        return await self._kit(lambda connection: statements.advance(connection, reader, seen, to))

    async def db(self) -> AsyncConnection:
        """The same transaction as SQLAlchemy sees it; the same object at each call."""
        async with self._lending:
            self._check()
            if self._lent is None:
                if not self._begun:
                    await self._kit(lambda _: None)
                self._lent = await self._lender.lend(self._run, may_end=False, misused=self._doom)
            return self._lent[0]

    async def _kit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One of the kit's own statements; an error that is not the row's own fault becomes a `StoreError`."""
        try:
            return await self._run(work)
        except sqlite3.Error as error:
            if blames_store(error):
                raise StoreError(sentence(self._path, error)) from error
            raise

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run inside the transaction, or raise because it is over; a statement of the handler keeps its own error."""
        self._check()
        try:
            return await self._place.call(partial(self._inside, work))
        except sqlite3.Error as error:
            self._check()  # a statement that was interrupted by the end of the lease
            if blames_file(error):
                raise StoreError(sentence(self._path, error)) from error
            raise

    def _inside(self, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
        if not self._begun:
            statements.begin(connection)
            self._begun = True
        elif not connection.in_transaction:
            raise StoreError(f"database {self._path} rolled this transaction back after an earlier error")
        return work(connection)

    def _check(self) -> None:
        if self._fence is not None:
            kind, text = self._fence
            raise kind(text)

    def _doom(self, error: Exception) -> None:
        self._doomed = self._doomed or error

    def fence(self, kind: type[StoreError], text: str) -> None:
        """Roll back now; each further call and `end` raise `kind`."""
        if self._fence is None:
            self._fence = (kind, text)
            self._place.interrupt()
            self._place.post(roll_back)

    @property
    def expired(self) -> bool:
        """Whether the lease ran out."""
        return self._fence is not None and self._fence[0] is LeaseExpired

    async def end(self) -> None:
        """Commit, or roll back and raise what forbids it."""
        await self._take_back()
        self._check()
        if self._doomed is not None:
            self.give_up()
            raise self._doomed
        self._fence = (StoreError, "this transaction has ended: its Tx and its connection are no longer usable")
        try:
            await self._place.call(self._commit)
        except sqlite3.Error as error:
            raise StoreError(sentence(self._path, error)) from error

    def _commit(self, connection: sqlite3.Connection) -> None:
        if not self._begun:
            return
        if not connection.in_transaction:
            raise StoreError(f"database {self._path} rolled this transaction back after an earlier error")
        statements.end(connection)

    async def abort(self) -> None:
        """Roll back."""
        await self._take_back()
        self.give_up()

    def give_up(self) -> None:
        """Roll back without waiting: whatever is under way in the thread comes first, whatever follows comes later."""
        if self._fence is None:
            self._fence = (StoreError, "this transaction was rolled back: its Tx and its connection are not usable")
            self._place.post(roll_back)

    async def _take_back(self) -> None:
        if self._lent is not None:
            lent, self._lent = self._lent, None
            await self._lender.take_back(*lent)


class Lease:
    """The right to write, in order of asking; bounded in time for whoever holds it with a transaction."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.holder: SqliteTx | None = None

    async def acquire(self) -> None:
        """Wait for one's turn."""
        await self._lock.acquire()

    def release(self) -> None:
        """Let the next one in."""
        self._lock.release()

    def bound(self, tx: SqliteTx, seconds: float) -> asyncio.TimerHandle:
        """From now on `tx` holds the lease, at most this long."""
        self.holder = tx
        return asyncio.get_running_loop().call_later(seconds, self._expire, tx, seconds)

    def _expire(self, tx: SqliteTx, seconds: float) -> None:
        if self.holder is tx:
            tx.fence(
                LeaseExpired,
                f"the transaction held the write lease longer than {seconds:g} s and was rolled back: "
                "call the outside before the first `await tx.db()`, and write less at once",
            )
            self.let_go(tx)

    def let_go(self, tx: SqliteTx) -> None:
        """Release what `tx` holds, once."""
        if self.holder is tx:
            self.holder = None
            self.release()
