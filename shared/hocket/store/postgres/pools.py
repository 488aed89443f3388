"""Connections to PostgreSQL: one pool for the kit's own statements, one for handlers' transactions, one for reads.

Handlers get SQLAlchemy in AUTOCOMMIT, so it sends no BEGIN and no COMMIT: the store sends them as plain statements on
the same connection (`transaction.py`). What handlers may do is decided in `hocket.store.handler_connection`.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import CursorResult, Executable, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hocket.errors import HocketError, NoConnection, StoreError, TransactionLost
from hocket.setting_groups import PostgresSettings
from hocket.store.handler_connection import (
    BORROWER,
    READ_REFUSAL,
    Borrower,
    HandlerConnection,
    ReadConnection,
    Reader,
    borrower_of,
    guard,
    guard_end,
)
from hocket.store.postgres import statements
from hocket.store.postgres.errors import READ_ONLY, code_of, handler_error, kit_error, sentence
from hocket.store.postgres.sessions import Sessions

T = TypeVar("T")

#: Of the kit's connections, those that stand from the start: commits and look-ups run side by side.
KIT_READY = 2
#: Seconds to wait for a free connection of the kit, and for a statement of `read()` to be answered. Handlers'
#: statements are bounded by the lease of their transaction.
KIT_SECONDS = 10.0
READ_SECONDS = 60.0

#: The kit's statements are planned once a connection, and by their indexes: a plan that was made while a table was
#: empty goes through all of it when it has grown.
KIT_SETTINGS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off"}
READ_SETTINGS = {"default_transaction_read_only": "on"}

#: What a store is made with where nobody says otherwise.
DEFAULTS = PostgresSettings()


class KitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection of the kit's pool: the kit leaves no session state behind, so nothing is reset."""

    def get_reset_query(self) -> str:
        """No statement, no round trip."""
        return ""


class HandlersConnection(asyncpg.Connection):  # type: ignore[misc]  # as above
    """A connection of the handlers' pool: it knows whether it was closed here, or lost."""

    closed_here = False

    async def close(self, *, timeout: float | None = None) -> None:
        """Close it, and note that."""
        self.closed_here = self.closed_here or not self.is_closed()
        await super().close(timeout=timeout)

    def terminate(self) -> None:
        """Close it at once, and note that."""
        self.closed_here = self.closed_here or not self.is_closed()
        super().terminate()


#: The borrower of all reads: they share connections, and nothing of them can end.
_READER = Reader()


class PooledReadConnection(ReadConnection):
    """A `ReadConnection` that takes a connection of the pool for each statement and holds none in between."""

    borrower = _READER
    pools: "Pools"

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[AsyncConnection]:
        connection = self.engine.connect()
        with self.pools.connecting():
            await connection.start()
        try:
            async with self.pools.read_only(connection):
                yield connection
        finally:
            await connection.close()

    async def execute(
        self, statement: Executable, parameters: Any = None, *, execution_options: Any = None
    ) -> CursorResult[Any]:
        """Run one statement; all its rows are there when it returns."""
        async with self._one() as connection:
            return await connection.execute(statement, parameters, execution_options=execution_options)

    async def run_sync(self, work: Callable[..., T], *words: Any, **more: Any) -> T:  # type: ignore[override]  # any words
        """Run a function over one connection."""
        async with self._one() as connection:
            return await connection.run_sync(work, *words, **more)


class SnapshotConnection(ReadConnection):
    """A `ReadConnection` that stays on one connection of the pool, in one transaction."""

    borrower = _READER


#: Begins a snapshot: its first statement decides which moment all of them see.
_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"


class Pools:
    """The pools of one store."""

    def __init__(self, url: str, schema: str, settings: PostgresSettings) -> None:
        self.sessions = Sessions(url, schema, settings)
        self.shown = self.sessions.shown
        self.statement_seconds = settings.postgres_statement_seconds
        self._bounds = settings
        # Milliseconds for which the group commit waits for a row that another transaction holds (RULES 3.3).
        lock_timeout = str(round(settings.postgres_lock_seconds * 1000))
        self._kit_settings = KIT_SETTINGS | {"lock_timeout": lock_timeout}
        self._kit: asyncpg.Pool | None = None
        self._handlers: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None
        self._raw: set[asyncpg.Connection] = set()

    async def open(self) -> None:
        """Make the pools; but for two of the kit's, connections are made when they are first needed."""

        async def prepare(connection: asyncpg.Connection) -> None:
            await self.sessions.tell(connection, self._kit_settings)
            if not self.sessions.by_transaction:
                await statements.plan(connection)

        self._kit = await asyncpg.create_pool(
            **self.sessions.arguments,
            min_size=0,  # the driver does not refill it by itself, with a log of its own; who needs one makes it
            init_size=KIT_READY,
            max_size=self._bounds.postgres_kit_pool,
            command_timeout=self.statement_seconds,
            connection_class=KitConnection,
            init=prepare,
        )
        self._handlers = self.engine(pool_size=self._bounds.postgres_pool)
        guard_end(self._handlers)
        self._readers = self.engine(READ_SETTINGS, READ_SECONDS, _READER, pool_size=self._bounds.postgres_read_pool)

    def engine(
        self,
        settings: Mapping[str, str] | None = None,
        answer: float | None = None,
        borrower: Reader | None = None,
        *,
        pool_size: int,
    ) -> AsyncEngine:
        """An engine for handlers, whose borrower each transaction names, or for the reads of one `borrower`.

        It sends no BEGIN and no COMMIT of its own.
        """

        async def connect(*_words: object, **_more: object) -> asyncpg.Connection:
            connection = await self.sessions.connect(settings, answer=answer, kind=HandlersConnection)
            if self.sessions.by_transaction:
                await connection.execute("BEGIN")  # what SQLAlchemy asks first; it ends below
            self._raw.add(connection)
            connection.add_termination_listener(self._raw.discard)
            return connection

        words: dict[str, Any] = {"async_creator_fn": connect}
        if self.sessions.by_transaction:
            words |= {"prepared_statement_cache_size": 0, "prepared_statement_name_func": str}
        engine = create_async_engine(
            "postgresql+asyncpg://",
            isolation_level="AUTOCOMMIT",
            execution_options={BORROWER: borrower},
            connect_args=words,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=self._bounds.postgres_pool_seconds,
            hide_parameters=True,  # an error would quote them (RULES 18.1)
        )
        if self.sessions.by_transaction:
            event.listen(engine.sync_engine, "connect", _end_first_transaction)
        guard(engine)
        event.listen(engine.sync_engine, "handle_error", self._error_of)
        return engine

    def _error_of(self, context: Any) -> Exception | None:
        """What a failed statement of a handler or a read raises; None: what SQLAlchemy raises."""
        error = context.original_exception
        borrower = borrower_of(context.connection)
        if borrower is not None:
            borrower.check()  # the statement was cut off by the end of the lease
            borrower.failed(error)
            if (spoilt := borrower.spoilt(error)) is not None:
                return spoilt
        if not isinstance(error, Exception):
            return None  # the caller was cancelled or timed out: SQLAlchemy calls that a disconnect, the server is well
        if context.is_disconnect:
            return TransactionLost(sentence(self.shown, ConnectionError(str(error))))
        if code_of(error) == READ_ONLY and borrower is _READER:
            return HocketError(READ_REFUSAL)
        return handler_error(self.shown, error)

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Where no connection is free or can be made: `NoConnection`."""
        try:
            yield
        except SQLAlchemyError as error:
            waited = self._bounds.postgres_pool_seconds
            raise NoConnection(
                f"database {self.shown} gave no connection in {waited:g} s ({error}){self._pooler()}"
            ) from error
        except Exception as error:
            known = kit_error(self.shown, error)
            raise (NoConnection(str(known)) if isinstance(known, StoreError) else known) from error

    def _pooler(self) -> str:
        """What else may be short where a pooler holds a connection of the server for each of ours."""
        if not self.sessions.pooled or self.sessions.by_transaction:
            return ""
        most = self._bounds.postgres_pool + self._bounds.postgres_kit_pool + self._bounds.postgres_read_pool
        return f": the pooler before it must have {most} connections for this process, the sum of its three pools"

    async def borrow(self, borrower: Borrower) -> tuple[HandlerConnection, asyncpg.Connection]:
        """A living connection for one transaction, as SQLAlchemy and as asyncpg see it."""
        assert self._handlers is not None
        with self.connecting():
            while True:
                connection = HandlerConnection(self._handlers)
                await connection.start_for(borrower)
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None
                if not raw.is_closed():
                    return connection, raw
                await self.give_back(connection, broken=True)

    @staticmethod
    async def give_back(connection: HandlerConnection, *, broken: bool) -> None:
        """Back to the pool; a broken one is closed."""
        if broken:
            await connection.discard()
        else:
            await connection.release()

    def reading(self) -> PooledReadConnection:
        """A connection that reads and cannot write."""
        assert self._readers is not None
        reading = PooledReadConnection(self._readers)
        reading.pools = self
        return reading

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[ReadConnection]:
        """A connection in one transaction that sees one moment and cannot write."""
        assert self._readers is not None
        connection = SnapshotConnection(self._readers)
        with self.connecting():
            await connection.start()
        whole = False
        try:
            raw = (await connection.get_raw_connection()).driver_connection
            assert raw is not None
            await raw.execute(_SNAPSHOT)
            yield connection
            await raw.execute("COMMIT")
            whole = True
        finally:
            if not whole:  # a statement may still run there
                await AsyncConnection.invalidate(connection)
            await AsyncConnection.close(connection)

    @asynccontextmanager
    async def read_only(self, connection: AsyncConnection) -> AsyncIterator[None]:
        """Around one statement of a read: where a pooler may change the server process, a transaction of its own."""
        if not self.sessions.by_transaction:
            yield
            return
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute(self.sessions.begin(READ_SETTINGS, read_only=True))
        try:
            yield
        finally:
            if not raw.is_closed():
                await raw.execute("ROLLBACK")

    def kit(self) -> Any:
        """A connection of the kit's pool, as an async context."""
        assert self._kit is not None
        if self.sessions.by_transaction:
            return self._kit_transaction(self._kit)
        return self._kit.acquire(timeout=KIT_SECONDS)

    @asynccontextmanager
    async def _kit_transaction(self, pool: asyncpg.Pool) -> AsyncIterator[asyncpg.Connection]:
        async with pool.acquire(timeout=KIT_SECONDS) as kit, kit.transaction(isolation="read_committed"):
            await kit.execute(self.sessions.in_transaction(self._kit_settings))
            yield kit

    async def forsake(self) -> None:
        """Make new connections from now on: the server behind the present ones takes no writes any more."""
        if self._kit is not None:
            await self._kit.expire_connections()
        for engine in (self._handlers, self._readers):
            if engine is not None:
                await engine.dispose()

    async def close(self) -> None:
        """Close every connection."""
        for engine in (self._handlers, self._readers):
            if engine is not None:
                await engine.dispose()
        if self._kit is not None:
            try:
                await asyncio.wait_for(self._kit.close(), self.sessions.connect_seconds)
            except TimeoutError:
                self._kit.terminate()

    async def cut(self) -> None:
        """Close every socket as the end of the process would."""
        for raw in list(self._raw):
            raw.terminate()
        if self._kit is not None:
            self._kit.terminate()
        for engine in (self._handlers, self._readers):
            if engine is not None:
                await engine.dispose(close=False)


def _end_first_transaction(connection: Any, _record: object) -> None:
    """SQLAlchemy has asked what it needs of a new connection."""
    connection.run_async(lambda raw: raw.execute("ROLLBACK"))
