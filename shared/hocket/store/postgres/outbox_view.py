"""A look into an outbox on PostgreSQL from outside its processes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from hocket.errors import ConfigError
from hocket.store.postgres.errors import sentence, shown
from hocket.store.records import OutboxViewRow, RowKind

T = TypeVar("T")

_COUNTS = """SELECT kind, CASE WHEN refused IS NOT NULL THEN 'refused' WHEN due > $1 THEN 'later' ELSE 'due' END,
count(*), min(due) FROM hocket_outbox GROUP BY 1, 2 ORDER BY 2, 1"""
_ROWS = """SELECT id, kind, due, coalesce(owner, ''), coalesce(refused, ''), refused IS NOT NULL, event_id, subject,
exchange, routing_key, octet_length(body) FROM hocket_outbox WHERE (refused IS NOT NULL) >= $1
ORDER BY refused IS NULL, due, id LIMIT $2"""
_FREE = """UPDATE hocket_outbox SET refused = NULL, owner = NULL
WHERE refused IS NOT NULL AND ($1::bigint[] = '{}' OR id = ANY($1::bigint[]))"""


class PostgresOutboxView:
    """The outbox in one schema; `ConfigError` where it cannot be looked at."""

    def __init__(self, url: str, connect_seconds: float, schema: str = "public") -> None:
        self._url = url.replace("postgresql+asyncpg://", "postgresql://", 1)
        self._schema = schema
        self._connect_seconds = connect_seconds

    def _ask(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        return asyncio.run(self._connected(work))

    async def _connected(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        settings = {"search_path": f'"{self._schema}"', "application_name": "hocket outbox"}
        try:
            connection = await asyncpg.connect(self._url, timeout=self._connect_seconds, server_settings=settings)
            try:
                return await work(connection)
            finally:
                await connection.close()
        except asyncpg.UndefinedTableError as error:
            raise ConfigError(
                f"database {shown(self._url)} has no outbox: it is no database of a hocket service"
            ) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            raise ConfigError(sentence(shown(self._url), error)) from error

    def counts(self, now: float) -> list[tuple[str, str, int, float]]:
        """(kind, due | later | refused, how many, oldest due moment)."""
        return [tuple(row) for row in self._ask(lambda connection: connection.fetch(_COUNTS, now))]

    def rows(self, limit: int, *, refused: bool = False) -> list[OutboxViewRow]:
        """The first rows: the refused ones, then by the moment they are due."""
        found = self._ask(lambda connection: connection.fetch(_ROWS, refused, limit))
        return [OutboxViewRow(id, RowKind(kind), *rest) for id, kind, *rest in found]

    def retry(self, ids: Sequence[int]) -> int:
        """Let refused rows be published again, those with these ids or (none) all; how many there were."""
        said: str = self._ask(lambda connection: connection.execute(_FREE, list(ids)))
        return int(said.rsplit(" ", 1)[-1])
