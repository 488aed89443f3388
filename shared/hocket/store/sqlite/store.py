"""The store on SQLite: one file, one process, one writer; WAL, synchronous FULL.

Writes go through one connection under one lease; reads through others that see committed data only. The kit's
statements are plain functions (`statements.py`), each one hop to the connection's thread; only a look-up of a few keys
runs in the event loop itself, because a hop costs fifty times as much. Handlers get SQLAlchemy over the same connection
inside the same transaction (`sqlalchemy_adapter.py`).
"""

import contextlib
import shutil
import sqlite3
import tempfile
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import MetaData
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import ConfigError, HocketError, StoreError
from hocket.saga.ledger import Kept, LedgerRow
from hocket.setting_groups import TRANSACTION_SECONDS
from hocket.store.handler_connection import READ_REFUSAL, HandlerConnection, ReadConnection, Reader
from hocket.store.purge import START
from hocket.store.records import Admitted, Before, Ending, InboxRow, OutboxRow, Purged, Removed, Waiting, Written
from hocket.store.sqlite import ledger, purge, schema, statements
from hocket.store.sqlite.breakers import SqliteBreakers
from hocket.store.sqlite.clock import SqliteClock
from hocket.store.sqlite.connection import PREPARED, InlineConnection, SqliteConnection, ThreadConnection
from hocket.store.sqlite.errors import blames_file, blames_store, sentence, store_error
from hocket.store.sqlite.file_lock import FileLock
from hocket.store.sqlite.joined import JoinedTx
from hocket.store.sqlite.sqlalchemy_adapter import Snapshots, SqliteEngine
from hocket.store.sqlite.subjects.look import SqliteSubjects
from hocket.store.sqlite.timers.due import SqliteTimers
from hocket.store.sqlite.transaction import SharedWrites, SqliteKitTx, SqliteTx, WriteLease

T = TypeVar("T")
_Kind = Callable[[Callable[[], sqlite3.Connection]], SqliteConnection]

#: Milliseconds that SQLite waits for another program's lock (a shell, a backup) before it gives up.
BUSY_MILLISECONDS = 1000
#: Keys that are looked up in the event loop itself; more could keep it for long where the disk must be read.
QUICK_KEYS = 8
#: A database that lives no longer than its store: a private file, without the cost of a safe disk.
MEMORY = ":memory:"


class SqliteStore:
    """A `hocket.store.port.Store` over one SQLite file; `boot` names this start of the process and owns outbox rows.

    `inline=True` runs every statement at once in the event loop, for virtual time. `:memory:` is a private file that is
    deleted at the end.
    """

    def __init__(
        self,
        path: str,
        *,
        clock: Clock,
        boot: str,
        inline: bool = False,
        transaction_seconds: float = TRANSACTION_SECONDS,
    ) -> None:
        self._memory = path == MEMORY
        if self._memory:
            folder = tempfile.mkdtemp(prefix="hocket-")
            self._tidy: Callable[[], object] = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            path = str(Path(folder) / "store.db")
        self._path, self._clock, self._boot = path, clock, boot
        self._transaction_seconds = transaction_seconds
        kind: _Kind = InlineConnection if inline else ThreadConnection
        self._writer = kind(self._connect_writer)
        self._lookups = kind(self._connect_reader)  # the kit's own look-ups: never behind a handler's long query
        self._quick_lookups: SqliteConnection = InlineConnection(self._connect_quick)  # in the event loop itself
        self._reads = kind(self._connect_reader)
        self._handler_engine = SqliteEngine(self._writer, HandlerConnection)
        self._read_engine = SqliteEngine(self._reads, ReadConnection)
        self.snapshot = Snapshots(lambda: kind(self._connect_reader), path, self._check)
        self._lease = WriteLease()
        self._shared = SharedWrites(path, self._acquire_lease, self._lease, self._writer)
        self.clock = SqliteClock(clock, self._lookup, self._write)
        self.breakers = SqliteBreakers(clock, boot, self._lookup, self._write)
        self.subjects = SqliteSubjects(self._lookup)
        self.timers = SqliteTimers(boot, self.clock.now, self._lookup, self._write)
        self._lock = FileLock(Path(path))
        self._refusing: str | None = f"database {path} is not open yet"  # why new calls raise
        self._purge_cursor = START
        self._closed = True  # calls that waited for the lease meanwhile raise as well

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=PREPARED
        )
        try:
            connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
            connection.execute("PRAGMA foreign_keys = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_writer(self) -> sqlite3.Connection:
        connection = self._connect()
        try:
            mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
            if mode != "wal":
                raise ConfigError(f"database {self._path} cannot keep a write-ahead log here: put it on a local disk")
            connection.execute("PRAGMA synchronous = OFF" if self._memory else "PRAGMA synchronous = FULL")
            schema.create(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _connect_reader(self) -> sqlite3.Connection:
        connection = self._connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    def _connect_quick(self) -> sqlite3.Connection:
        connection = self._connect_reader()
        connection.execute("PRAGMA busy_timeout = 0")  # the event loop must not wait for a lock
        return connection

    @property
    def replicas(self) -> bool:
        """Whether several processes of one service may work on it at once."""
        return False

    async def open(self, tables: MetaData | None = None) -> None:
        """Lock the file, make its folder, the kit's tables and `tables` where absent, or say why not: `ConfigError`."""
        self._lock.acquire()
        try:
            for connection in self._connections():
                await connection.start()
            self._refusing, self._closed = None, False
            if tables is not None:
                async with self.transaction() as tx:
                    await (await tx.db()).run_sync(tables.create_all)
        except (sqlite3.Error, SQLAlchemyError, StoreError) as error:
            await self._shut("did not open")
            raise ConfigError(sentence(self._path, getattr(error, "orig", None) or error)) from error
        except BaseException:
            await self._shut("did not open")
            raise

    async def close(self) -> None:
        """Finish what is in progress, close the file and release its lock; later calls raise `StoreError`."""
        if self._refusing is None:
            self._refusing = f"database {self._path} is closed: this process is stopping"
            await self._lease.acquire()
            try:
                await self._shut("is closed")
            finally:
                self._lease.release()

    async def abandon(self) -> None:
        """Stop as a killed process would: what is open is rolled back, the lock is released, nobody is waited for."""
        holder = self._lease.holder
        self._refusing, self._closed = f"database {self._path} was abandoned", True
        if holder is not None:
            holder.fence(StoreError, self._refusing)
            self._lease.release_of(holder)
        await self._shut("was abandoned")

    async def _shut(self, what: str) -> None:
        self._refusing, self._closed = f"database {self._path} {what}", True
        for connection in reversed(self._connections()):
            with contextlib.suppress(sqlite3.Error):
                await connection.close()
        self._lock.release()
        if self._memory:
            self._tidy()

    def _connections(self) -> tuple[SqliteConnection | Snapshots, ...]:
        return self._writer, self._lookups, self._quick_lookups, self._reads, self.snapshot

    def _check(self) -> None:
        if self._refusing is not None:
            raise StoreError(self._refusing)

    async def _acquire_lease(self) -> None:
        """Wait for the write lease."""
        self._check()
        await self._lease.acquire()
        if self._closed:
            self._lease.release()
            raise StoreError(self._refusing or self._path)

    async def _run(self, connection: SqliteConnection, work: Callable[[sqlite3.Connection], T]) -> T:
        """One hop; an error that is not the row's own fault becomes a `StoreError`."""
        try:
            return await connection.call(work)
        except sqlite3.Error as error:
            if blames_store(error):
                raise store_error(self._path, error) from error
            raise

    async def _lookup(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One of the kit's own look-ups, without the lease."""
        self._check()
        return await self._run(self._lookups, work)

    async def _write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """A function that is a transaction of its own, under the lease. A cancelled caller leaves it to its end."""
        await self._acquire_lease()
        try:
            return await self._run(self._writer, work)
        finally:
            self._lease.release()

    @asynccontextmanager
    async def transaction(self, lease: float | None = None) -> AsyncIterator[SqliteTx]:
        """The write lease in order of asking, at most `lease` seconds; `LeaseExpired` from its calls and its exit.

        Without `lease` as many seconds as the store was made with.
        Whoever asks for a second one, or calls `commit`, inside the first waits for himself until the lease ends.
        """
        await self._acquire_lease()
        tx = SqliteTx(self._path, self._writer, self._handler_engine, self._boot, self._clock)
        timer = self._lease.hold(tx, self._transaction_seconds if lease is None else lease)
        try:
            yield tx
            timer.cancel()
            await tx.end()
        except BaseException as error:
            timer.cancel()
            await tx.abort()
            if tx.expired and isinstance(error, Exception):
                tx.check()  # raises LeaseExpired in place of what the body raised
            raise
        finally:
            self._lease.release_of(tx)

    @asynccontextmanager
    async def kit_transaction(self) -> AsyncIterator[SqliteKitTx]:
        """A write transaction of the kit's own."""
        async with self.transaction() as tx:
            yield SqliteKitTx(tx)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Committed data without the write lease, each statement by itself; writing raises."""
        self._check()
        reader = Reader()

        async def run(work: Callable[[sqlite3.Connection], T]) -> T:
            self._check()
            reader.check()
            try:
                return await self._reads.call(work)
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode == sqlite3.SQLITE_READONLY:
                    raise HocketError(READ_REFUSAL) from error
                if blames_file(error):
                    raise store_error(self._path, error) from error
                raise

        connection = await self._read_engine.borrow(reader, run)
        try:
            yield connection
        finally:
            reader.end_with("this read has ended: its connection is no longer usable")
            await connection.release()

    async def join(self, connection: AsyncConnection) -> JoinedTx:
        """Join the transaction of an application over the same file; `HocketError` where it is another."""
        self._check()
        joined = JoinedTx(connection, self._path, self._clock)
        await joined.check()
        return joined

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        """Write endings in a transaction of the kit's own: one hop, one sync of the disk.

        Values that SQLite cannot take raise what Python says of them, the row's own fault, and nothing is written.
        """
        now, boot = self.clock.now, self._boot
        return await self._shared.write(lambda connection: statements.commit(connection, endings, boot, now()))

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that exist of these keys, committed state."""
        self._check()
        if len(keys) <= QUICK_KEYS:
            with contextlib.suppress(sqlite3.Error):  # asked again in the thread, which can wait, and reports it
                return await self._quick_lookups.call(lambda connection: statements.inbox(connection, keys))
        return await self._lookup(lambda connection: statements.inbox(connection, keys))

    async def admit(self, keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str]) -> Admitted:
        """Look inbox and ledger up, and begin what is in neither: one hop, one sync of the disk."""
        now, run = self.clock.now, self._shared.write if begins else self._lookup
        return await run(lambda connection: statements.admit(connection, keys, begins, runs, self._boot, now()))

    async def kept(self, runs: Sequence[str]) -> Mapping[str, Kept]:
        """What is kept of these runs for an undo."""
        return await self._lookup(partial(ledger.kept, runs=runs))

    async def renew(self) -> bool:
        """Always true: the file's lock is the lease, and it is held as long as the process lives."""
        self._check()
        return True

    async def take_over(self) -> int:
        """Own every due row of earlier boots; the file's lock says that they are dead."""
        return await self._write(partial(statements.take_over, boot=self._boot))

    async def due(self, after: int | None, limit: int) -> list[OutboxRow]:
        """Own due rows with id > `after`, and those claimed just now, oldest id first; at most `limit` of each kind.

        Where own rows are left over, only rows below the last one returned are claimed: nobody is passed by.
        """
        now, boot = self.clock.now, self._boot
        async with self.clock.moving:
            rows, ceiling = await self._lookup(lambda connection: statements.own(connection, boot, now(), after, limit))
            if ceiling is None:
                return rows
            claimed = await self._write(partial(statements.claim, boot=boot, now=now(), ceiling=ceiling, limit=limit))
        return sorted([*rows, *claimed], key=lambda row: row.id)

    async def next_due(self) -> float | None:
        """Seconds until the next row without an owner is due; negative: it is overdue."""
        return await self._lookup(lambda connection: statements.next_due(connection, self.clock.now()))

    async def forget(self, ids: Sequence[int]) -> None:
        """Delete confirmed rows."""
        if ids:
            await self._shared.write(lambda connection: statements.forget(connection, ids))

    async def refuse(self, id: int, reason: str) -> None:
        """Set a row aside that the broker refuses by its nature."""
        await self._write(lambda connection: statements.refuse(connection, id, reason))

    async def purge(self, before: Before, limit: int) -> Purged:
        """One step of a purge: a look without the lease, then a short transaction where something may go."""
        cursor = self._purge_cursor
        found = await self._lookup(lambda connection: purge.look(connection, cursor, before, limit))
        removed = await self._write(lambda each: purge.remove(each, found, before)) if found.some else Removed()
        self._purge_cursor = found.next
        return Purged(removed.rows, found.next == START, removed.renamed, removed.taken)

    async def waiting(self) -> Waiting:
        """Counts for readiness, metrics and the bound of RULES 4.6, from the indexes alone."""
        return await self._lookup(lambda connection: statements.waiting(connection, self.clock.now()))
