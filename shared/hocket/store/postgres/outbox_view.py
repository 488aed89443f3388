"""Reads a service's outbox on PostgreSQL from another process, for `hocket outbox`, and retries refused rows."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from hocket.errors import ConfigError
from hocket.setting_groups import PostgresSettings
from hocket.store.postgres.errors import sentence
from hocket.store.postgres.sessions import Sessions
from hocket.store.postgres.sql import NOW
from hocket.store.postgres.statements import rows_touched
from hocket.store.records import OutboxViewRow, RowKind
from hocket.store.sql import VIEW_COUNTS, VIEW_RETRY, VIEW_ROWS

T = TypeVar("T")

_RETRY = VIEW_RETRY + " AND ($1::bigint[] = '{}' OR id = ANY($1::bigint[]))"


class PostgresOutboxView:
    """The outbox in one schema; `ConfigError` where it cannot be looked at."""

    def __init__(self, url: str, schema: str, settings: PostgresSettings) -> None:
        self._sessions = Sessions(url, schema, settings)

    def _ask(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        return asyncio.run(self._connected(work))

    async def _connected(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        database = self._sessions.shown
        try:
            connection = await self._sessions.connect()
            try:
                async with connection.transaction():
                    await connection.execute(self._sessions.in_transaction())
                    return await work(connection)
            finally:
                await connection.close()
        except asyncpg.UndefinedTableError as error:
            raise ConfigError(
                f"database {database} has no outbox: it is no database of a hocket service, or its tables stand in "
                "another schema, which HOCKET_POSTGRES_SCHEMA names"
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
            raise ConfigError(sentence(database, error)) from error

    def counts(self) -> list[tuple[str, str, int, float]]:
        """(kind, due | later | refused, how many, oldest due moment), by the database's clock."""
        return [tuple(row) for row in self._ask(lambda connection: connection.fetch(VIEW_COUNTS.format(now=NOW)))]

    def rows(self, limit: int, *, refused: bool = False) -> list[OutboxViewRow]:
        """The first rows: the refused ones, then by the moment they are due."""
        found = self._ask(lambda connection: connection.fetch(VIEW_ROWS, refused, limit))
        return [OutboxViewRow(id, RowKind(kind), *rest) for id, kind, *rest in found]

    def retry(self, ids: Sequence[int]) -> int:
        """Let refused rows be published again, those with these ids or (none) all; how many there were."""
        return rows_touched(self._ask(lambda connection: connection.execute(_RETRY, list(ids))))
