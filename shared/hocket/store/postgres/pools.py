"""Connections to PostgreSQL: one pool for the kit's own statements, one for handlers' transactions, one for reading.

Handlers get SQLAlchemy, which begins nothing by itself (AUTOCOMMIT): the transaction below is the store's, made with
plain statements on the same connection.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any, NoReturn, Protocol, TypeVar

import asyncpg
from sqlalchemy import CursorResult, Executable, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from hocket.config import PostgresSettings
from hocket.errors import HocketError, StoreError
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

_BORROWER = "hocket"
_CONTROL_WORDS = {"BEGIN", "START", "COMMIT", "END", "ABORT", "PREPARE"}
ENDS_BY_ITSELF = (
    "this transaction is hocket's: it commits when the handler returns and rolls back when it raises; "
    "do not begin, commit, roll back or close it (begin_nested() is there for a part that may fail)"
)


class KitConnection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection of the kit's pool: nothing of the session is changed, so nothing is reset."""

    def get_reset_query(self) -> str:
        """No statement, no round trip."""
        return ""


class Borrower(Protocol):
    """Who writes through a lent connection."""

    def check(self) -> None:
        """Raise where the borrower may not write (any more)."""
        ...

    def refuse(self) -> NoReturn:
        """Raise for what a borrower never may, and doom the transaction."""
        ...

    def failed(self, error: BaseException) -> None:
        """A statement of the borrower failed."""
        ...


class HandlerConnection(AsyncConnection):
    """An `AsyncConnection` whose transaction belongs to the store."""

    borrower: Borrower

    def begin(self) -> NoReturn:
        """Raise: the transaction is open already."""
        self.borrower.refuse()

    async def commit(self) -> None:
        """Raise: it commits by itself."""
        self.borrower.refuse()

    async def rollback(self) -> None:
        """Raise: it rolls back by itself."""
        self.borrower.refuse()

    async def close(self) -> None:
        """Raise: it is only lent."""
        self.borrower.refuse()

    async def give_back(self) -> None:
        """The store takes it back."""
        await super().close()


class ReadingConnection(AsyncConnection):
    """Committed data: a connection of the pool for each statement, so that whoever waits meanwhile keeps none."""

    links: "Pools"

    @asynccontextmanager
    async def _one(self) -> AsyncIterator[AsyncConnection]:
        connection = self.engine.connect()
        with self.links.connecting():
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

    async def commit(self) -> None:
        """Nothing to commit."""

    async def rollback(self) -> None:
        """Nothing to roll back."""

    async def close(self) -> None:
        """Nothing is held."""


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
        self._handlers = self._engine(self._bounds.postgres_pool, {}, self._before)
        read_only = {"default_transaction_read_only": "on"}
        self._readers = self._engine(self._bounds.postgres_read_pool, read_only, None, READ_SECONDS)

    def _engine(
        self, size: int, settings: dict[str, str], before: Callable[..., None] | None, answer: float | None = None
    ) -> AsyncEngine:
        async def made() -> asyncpg.Connection:
            connection = await self.connect(settings, answer=answer)
            self._raw.add(connection)
            connection.add_termination_listener(self._raw.discard)
            return connection

        engine = create_async_engine(
            "postgresql+asyncpg://",
            isolation_level="AUTOCOMMIT",
            async_creator=made,
            pool_size=size,
            max_overflow=0,
            pool_timeout=self._bounds.postgres_pool_seconds,
        )
        if before is not None:
            event.listen(engine.sync_engine, "before_cursor_execute", before)
        event.listen(engine.sync_engine, "handle_error", self._failed)
        return engine

    @staticmethod
    def _before(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        borrower: Borrower | None = connection.info.get(_BORROWER)
        if borrower is None:
            return
        borrower.check()
        words = statement.split(None, 2)[:2]
        first = words[0].upper().rstrip(";") if words else ""
        whole_rollback = first == "ROLLBACK" and (len(words) == 1 or words[1].upper() != "TO")
        if first in _CONTROL_WORDS or whole_rollback:
            borrower.refuse()

    def _failed(self, context: Any) -> Exception | None:
        error = context.original_exception
        borrower: Borrower | None = context.connection.info.get(_BORROWER) if context.connection is not None else None
        if borrower is not None:
            borrower.check()  # a statement that the end of the lease has cut
            borrower.failed(error)
        if context.is_disconnect:
            return StoreError(sentence(self.shown, ConnectionError(str(error))))
        if code_of(error) == READ_ONLY and borrower is None:
            return HocketError("read() gives committed data to look at: write through `await tx.db()`")
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

    async def lend(self, borrower: Borrower) -> tuple[HandlerConnection, asyncpg.Connection]:
        """A living connection for one transaction, as SQLAlchemy and as asyncpg see it."""
        assert self._handlers is not None
        with self.connecting():
            while True:
                connection = HandlerConnection(self._handlers)
                connection.borrower = borrower
                await connection.start()
                raw = (await connection.get_raw_connection()).driver_connection
                assert raw is not None
                if not raw.is_closed():
                    assert connection.sync_connection is not None
                    connection.sync_connection.info[_BORROWER] = borrower
                    return connection, raw
                await self.take_back(connection, broken=True)

    @staticmethod
    async def take_back(connection: HandlerConnection, *, broken: bool) -> None:
        """Back to the pool, or away."""
        if broken:
            await connection.invalidate()
        elif connection.sync_connection is not None:
            connection.sync_connection.info.pop(_BORROWER, None)
        await connection.give_back()

    def reading(self) -> ReadingConnection:
        """Reads and cannot write."""
        assert self._readers is not None
        reading = ReadingConnection(self._readers)
        reading.links = self
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
