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

from hocket.config import PostgresSettings
from hocket.errors import HocketError, StoreError
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
from hocket.store.postgres.errors import READ_ONLY, code_of, handler_error, kit_error, sentence, shown

T = TypeVar("T")

#: Of the kit's connections, those that stand from the start: commits and look-ups run side by side.
KIT_READY = 2
#: Seconds to wait for a free connection of the kit, and for a statement of `read()` to be answered. Handlers'
#: statements are bounded by the lease of their transaction.
KIT_SECONDS = 10.0
READ_SECONDS = 60.0
#: Statements kept prepared on one connection.
PREPARED = 256

#: A statement compiled to machine code costs more than it gains, and an isolation that was set elsewhere fails more.
SETTINGS = {"jit": "off", "default_transaction_isolation": "read committed", "application_name": "hocket"}

#: The kit's statements are planned once a connection, and by their indexes: a plan that was made while a table was
#: empty goes through all of it when it has grown.
KIT_SETTINGS = {
    "plan_cache_mode": "force_generic_plan",
    "enable_seqscan": "off",
}

#: What a store is made with where nobody says otherwise.
DEFAULTS = PostgresSettings()


class KitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection of the kit's pool: the kit leaves no session state behind, so nothing is reset."""

    def get_reset_query(self) -> str:
        """No statement, no round trip."""
        return ""


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


class Pools:
    """The pools of one store."""

    def __init__(self, url: str, schema: str, settings: PostgresSettings) -> None:
        self.shown = shown(url)
        self.connect_seconds = settings.postgres_connect_seconds
        self.statement_seconds = settings.postgres_statement_seconds
        self._bounds = settings
        self._url = url
        self._settings = SETTINGS | {"search_path": f'"{schema}"'}
        self._kit: asyncpg.Pool | None = None
        self._handlers: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None
        self._raw: set[asyncpg.Connection] = set()

    async def connect(
        self, settings: Mapping[str, str] | None = None, *, answer: float | None = None
    ) -> asyncpg.Connection:
        """A connection of its own, with seconds for an answer where given; what asyncpg raises comes through."""
        return await asyncpg.connect(
            self._url,
            timeout=self.connect_seconds,
            command_timeout=answer,
            statement_cache_size=PREPARED,
            server_settings={**self._settings, **(settings or {})},
        )

    async def open(self) -> None:
        """Make the pools; but for two of the kit's, connections are made when they are first needed."""
        # Milliseconds for which the group commit waits for a row that another transaction holds (RULES 3.3).
        lock_timeout = str(round(self._bounds.postgres_lock_seconds * 1000))
        self._kit = await asyncpg.create_pool(
            self._url,
            min_size=KIT_READY,
            max_size=self._bounds.postgres_kit_pool,
            timeout=self.connect_seconds,
            command_timeout=self.statement_seconds,
            statement_cache_size=PREPARED,
            connection_class=KitConnection,
            server_settings=self._settings | KIT_SETTINGS | {"lock_timeout": lock_timeout},
            init=statements.plan,
        )
        self._handlers = self._engine(self._bounds.postgres_pool, {})
        read_only = {"default_transaction_read_only": "on"}
        self._readers = self._engine(self._bounds.postgres_read_pool, read_only, answer=READ_SECONDS, borrower=_READER)

    def _engine(
        self, size: int, settings: dict[str, str], *, answer: float | None = None, borrower: Reader | None = None
    ) -> AsyncEngine:
        """An engine for handlers, whose borrower each transaction names, or for the reads of one `borrower`."""

        async def connect() -> asyncpg.Connection:
            connection = await self.connect(settings, answer=answer)
            self._raw.add(connection)
            connection.add_termination_listener(self._raw.discard)
            return connection

        engine = create_async_engine(
            "postgresql+asyncpg://",
            isolation_level="AUTOCOMMIT",
            execution_options={BORROWER: borrower},
            async_creator=connect,
            pool_size=size,
            max_overflow=0,
            pool_timeout=self._bounds.postgres_pool_seconds,
            hide_parameters=True,  # an error would quote them (RULES 18.1)
        )
        guard(engine)
        if borrower is None:
            guard_end(engine)
        event.listen(engine.sync_engine, "handle_error", self._error_of)
        return engine

    def _error_of(self, context: Any) -> Exception | None:
        """What a failed statement of a handler or a read raises; None: what SQLAlchemy raises."""
        error = context.original_exception
        borrower = borrower_of(context.connection)
        if borrower is not None:
            borrower.check()  # the statement was cut off by the end of the lease
            borrower.failed(error)
        if not isinstance(error, Exception):
            return None  # the caller was cancelled or timed out: SQLAlchemy calls that a disconnect, the server is well
        if context.is_disconnect:
            return StoreError(sentence(self.shown, ConnectionError(str(error))))
        if code_of(error) == READ_ONLY and borrower is _READER:
            return HocketError(READ_REFUSAL)
        return handler_error(self.shown, error)

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Where no connection is free or can be made: `StoreError`."""
        try:
            yield
        except SQLAlchemyError as error:
            waited = self._bounds.postgres_pool_seconds
            raise StoreError(f"database {self.shown} gave no connection in {waited:g} s ({error})") from error
        except Exception as error:
            raise kit_error(self.shown, error) from error

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
            await connection.invalidate()
        await connection.release()

    def reading(self) -> PooledReadConnection:
        """A connection that reads and cannot write."""
        assert self._readers is not None
        reading = PooledReadConnection(self._readers)
        reading.pools = self
        return reading

    def kit(self) -> Any:
        """A connection of the kit's pool, as an async context."""
        assert self._kit is not None
        return self._kit.acquire(timeout=KIT_SECONDS)

    async def close(self) -> None:
        """Close every connection."""
        for engine in (self._handlers, self._readers):
            if engine is not None:
                await engine.dispose()
        if self._kit is not None:
            try:
                await asyncio.wait_for(self._kit.close(), self.connect_seconds)
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
