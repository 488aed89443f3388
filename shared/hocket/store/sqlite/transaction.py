"""One open write transaction on SQLite, and the lease that lets one transaction at a time write to the file."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from copy import copy
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import HocketError, StoreError, TransactionLost
from hocket.saga.ledger import LedgerRow
from hocket.store.errors import EndedByHand, commit_refused
from hocket.store.handler_connection import COMMITTED, ROLLED_BACK, Borrower, HandlerConnection
from hocket.store.records import Ending, Offset, Written
from hocket.store.sqlite import ledger, statements
from hocket.store.sqlite.connection import SqliteConnection, begin, commit, drop_temporary, roll_back
from hocket.store.sqlite.errors import blames_file, blames_store, may_pass, store_error
from hocket.store.sqlite.sqlalchemy_adapter import SqliteEngine

T = TypeVar("T")
#: A function that waits for a transaction, and its answer.
_Asked = tuple[Callable[[sqlite3.Connection], Any], "asyncio.Future[Any]"]


class SqliteTx(Borrower):
    """A `hocket.store.port.WriteTransaction`. It begins with its first statement; `end` commits, `abort` rolls back."""

    def __init__(
        self, path: str, writer: SqliteConnection, engine: SqliteEngine[HandlerConnection], boot: str, clock: Clock
    ) -> None:
        super().__init__()
        self._path = path
        self._writer = writer
        self._engine = engine
        self._boot = boot
        self._clock = clock
        self._begun = False
        self._rolled_back: BaseException | None = None  # what made SQLite roll back by itself
        self._handler: HandlerConnection | None = None
        self._opening = asyncio.Lock()

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order. After an error the transaction can only roll back."""
        now = self._clock.now().timestamp()  # nothing moves the clock while this transaction holds the lease
        try:
            return await self._kit(lambda connection: statements.write(connection, endings, self._boot, now))
        except Exception as error:
            self.doom(error)
            raise

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows of these runs, of earlier boots without owner; nobody else writes until the end."""
        return await self._kit(lambda connection: ledger.ledger(connection, runs, self._boot))

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
        async with self._opening:
            self.check()
            if self._handler is None:
                if not self._begun:
                    await self._kit(lambda _: None)
                self._handler = await self._engine.borrow(self, self._run)
            return self._handler

    async def _kit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """One of the kit's own statements; an error that is not the row's own fault becomes a `StoreError`."""
        try:
            return await self._run(work)
        except sqlite3.Error as error:
            if blames_store(error):
                raise store_error(self._path, error) from error
            raise

    async def _run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run inside the transaction, or raise because it is over; a statement of the handler keeps its own error."""
        self.check()
        try:
            return await self._writer.call(partial(self._inside, work))
        except sqlite3.Error as error:
            self.check()  # the statement was interrupted by the end of the lease
            if blames_file(error):
                raise store_error(self._path, error) from error
            raise

    def _inside(self, work: Callable[[sqlite3.Connection], T], connection: sqlite3.Connection) -> T:
        if not self._begun:
            begin(connection)
            self._begun = True
        self._check_open(connection)
        try:
            done = work(connection)
        except BaseException as error:
            if not connection.in_transaction:
                self._rolled_back = error
            raise
        self._check_open(connection)
        return done

    def _check_open(self, connection: sqlite3.Connection) -> None:
        if connection.in_transaction:
            return
        if self._rolled_back is not None:
            text = f"database {self._path} rolled this transaction back after an earlier error ({self._rolled_back})"
            raise (TransactionLost if may_pass(self._rolled_back) else HocketError)(text) from self._rolled_back
        by_hand = EndedByHand()
        self.doom(by_hand)
        raise by_hand

    def _cut_off(self) -> None:
        """Interrupt the statement that runs, and roll back before whatever is given to the connection next."""
        self._writer.interrupt()
        self._writer.post(roll_back)

    async def end(self) -> None:
        """Commit, or roll back and raise what forbids it."""
        await self._release()
        self.check()
        if self._doomed is not None:
            self._roll_back()
            raise self._doomed
        self.end_with(COMMITTED)
        try:
            await self._writer.call(self._commit)
        except sqlite3.IntegrityError as error:  # it is rolled back: the outcome is known
            raise commit_refused(error, constraint=True) from error
        except sqlite3.Error as error:
            raise store_error(self._path, error) from error

    def _commit(self, connection: sqlite3.Connection) -> None:
        if self._begun:
            self._check_open(connection)
            if self.connection_changed:
                drop_temporary(connection)
            commit(connection)

    async def abort(self) -> None:
        """Roll back, once what is in progress in the thread has ended; nobody waits for it."""
        await self._release()
        self._roll_back()

    def _roll_back(self) -> None:
        if self._ended is None:
            self.end_with(ROLLED_BACK)
            self._writer.post(roll_back)

    async def _release(self) -> None:
        if self._handler is not None:
            handler, self._handler = self._handler, None
            await handler.release()


class WriteLease:
    """The right to write to the file, in order of asking; bounded in time for a transaction that holds it."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self.asked = 0  # how often it was asked for
        self.holder: SqliteTx | None = None

    async def acquire(self) -> None:
        """Wait until it is free and everyone who asked before has had it."""
        self.asked += 1
        await self._lock.acquire()

    def release(self) -> None:
        """Give it to whoever asked next."""
        self._lock.release()

    def hold(self, tx: SqliteTx, seconds: float) -> asyncio.TimerHandle:
        """Give the acquired lease to `tx` for at most `seconds`; then `tx` is fenced and the lease is free."""
        self.holder = tx
        return asyncio.get_running_loop().call_later(seconds, self._expire, tx, seconds)

    def _expire(self, tx: SqliteTx, seconds: float) -> None:
        if self.holder is tx:
            tx.expire(seconds)
            self.release_of(tx)

    def release_of(self, tx: SqliteTx) -> None:
        """Release what `tx` holds, once."""
        if self.holder is tx:
            self.holder = None
            self.release()


class SharedWrites:
    """Writes of the kit's own: those that wait for the lease together are one transaction, with one sync of the disk.

    A write joins those that wait only while nobody else has asked for the lease since: the order of asking holds.
    """

    def __init__(
        self, path: str, acquire: Callable[[], Awaitable[None]], lease: WriteLease, on: SqliteConnection
    ) -> None:
        self._path = path
        self._acquire = acquire
        self._lease = lease
        self._on = on
        self._open: list[_Asked] = []  # the group that may still be joined
        self._place = 0  # of that group, in the order of asking
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """What `work` returns or raises inside a transaction, once that is committed.

        Where one of several raises, each runs in a transaction of its own. A caller that is cancelled before its turn
        takes its work back; later it leaves it to its end.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if self._open and self._lease.asked == self._place:
            self._open.append((work, answer))
            return await answer
        group = self._open = [(work, answer)]
        self._place = self._lease.asked + 1
        try:
            await self._acquire()
        except asyncio.CancelledError:
            answer.cancel()
            self._spawn(self._lead(group))
            raise
        except StoreError as error:
            self._tell(group, error)
        else:
            self._spawn(self._run(group))
        return await answer

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, group: "list[_Asked]") -> None:
        """For those whose leader was cancelled: they ask again."""
        try:
            await self._acquire()
        except StoreError as error:
            self._tell(group, error)
        else:
            await self._run(group)

    async def _run(self, group: "list[_Asked]") -> None:
        """One transaction, under the lease; nobody joins any more."""
        if self._open is group:
            self._open = []
        try:
            group = [each for each in group if not each[1].cancelled()]
            done = await self._on.call(partial(together, [work for work, _ in group])) if group else []
        except Exception as error:  # noqa: BLE001 -- whoever asked is told
            self._tell(group, error)
        else:
            for (_, answer), one in zip(group, done, strict=True):
                if not answer.done():
                    answer.set_exception(self._known(one)) if isinstance(one, Exception) else answer.set_result(one)
        finally:
            self._lease.release()

    def _tell(self, group: "list[_Asked]", error: Exception) -> None:
        if self._open is group:
            self._open = []
        for _, answer in group:
            if not answer.done():  # one object raised in several tasks would mix their tracebacks
                answer.set_exception(self._known(copy(error)))

    def _known(self, error: Exception) -> Exception:
        """What its caller is told: a `StoreError` where it is not the row's own fault."""
        if not isinstance(error, sqlite3.Error) or not blames_store(error):
            return error
        known = store_error(self._path, error)
        known.__cause__ = error
        return known


def together(works: Sequence[Callable[[sqlite3.Connection], Any]], connection: sqlite3.Connection) -> list[Any]:
    """What each of these returns, all in one transaction; where one of several raises, each in one of its own."""
    begin(connection)
    try:
        done = [work(connection) for work in works]
    except BaseException:
        roll_back(connection)
        if len(works) == 1:
            raise
        return [_alone(work, connection) for work in works]
    commit(connection)
    return done


def _alone(work: Callable[[sqlite3.Connection], Any], connection: sqlite3.Connection) -> Any:
    try:
        return together([work], connection)[0]
    except Exception as error:  # noqa: BLE001 -- an answer as any other: whoever asked is told
        return error


class SqliteKitTx:
    """A `hocket.store.port.KitTransaction`: nobody else writes meanwhile, so every row is free."""

    def __init__(self, tx: SqliteTx) -> None:
        self._tx = tx

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The rows that exist of these runs."""
        return await self._tx.ledger(runs)

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        return await self._tx.write(endings)
