"""The kit's statements on PostgreSQL inside a transaction that an application owns, through its connection."""

from collections.abc import Mapping, Sequence

import asyncpg
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.store.joined import ApplicationTransaction, another_database
from hocket.store.postgres import statements
from hocket.store.postgres.sql import CANCEL, LOOK
from hocket.store.postgres.statements import rows_touched
from hocket.store.records import Ending, InboxRow, Written

#: Whether the connection sees the kit's tables, and among them the lease of this process: then it is our database.
_HAS_TABLES = "SELECT to_regclass('hocket_owners') IS NOT NULL"
_HAS_LEASE = "SELECT EXISTS (SELECT 1 FROM hocket_owners WHERE boot = $1)"


async def join(connection: AsyncConnection, name: str, boot: str, clock: Clock) -> "JoinedTx":
    """Join the transaction of `connection`; `HocketError` where it is to another database or not by asyncpg."""
    if connection.dialect.driver == "asyncpg":
        await connection.exec_driver_sql("SELECT 1")  # from here on the application's transaction is open
        raw = (await connection.get_raw_connection()).driver_connection
        if raw is not None and await raw.fetchval(_HAS_TABLES) and await raw.fetchval(_HAS_LEASE, boot):
            return JoinedTx(connection, raw, clock)
    raise another_database(name, or_not=", or not by postgresql+asyncpg")


class JoinedTx(ApplicationTransaction):
    """A `hocket.store.port.Joined` on PostgreSQL: rows have no owner until the relay claims them after the commit."""

    def __init__(self, connection: AsyncConnection, raw: asyncpg.Connection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._raw = raw

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        return await statements.write(self._raw, endings, None, self._clock.now().timestamp())

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that this transaction sees."""
        return statements.inbox(await self._raw.fetch(LOOK, list(keys)))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        return rows_touched(await self._raw.execute(CANCEL, schedule)) > 0
