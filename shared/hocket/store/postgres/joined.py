"""The kit's statements inside a transaction that an application owns, through the application's own connection."""

from collections.abc import Callable, Mapping, Sequence

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import Clock
from hocket.errors import HocketError
from hocket.saga.ledger import LedgerRow
from hocket.store.postgres import sql, statements
from hocket.store.postgres.transaction import count, locks
from hocket.store.records import Ending, InboxRow, Offset, Written

_THERE = "SELECT to_regclass('hocket_owners') IS NOT NULL"
_OURS = "SELECT EXISTS (SELECT 1 FROM hocket_owners WHERE boot = $1)"


async def join(connection: AsyncConnection, name: str, boot: str, clock: Clock) -> "JoinedTx":
    """Join; `HocketError` where the connection is to another database, or by another driver than asyncpg."""
    if connection.dialect.driver == "asyncpg":
        await connection.exec_driver_sql("SELECT 1")  # from here on the application's transaction is open
        raw = (await connection.get_raw_connection()).driver_connection
        if raw is not None and await raw.fetchval(_THERE) and await raw.fetchval(_OURS, boot):
            return JoinedTx(connection, raw, boot, clock)
    raise HocketError(
        f"tx(connection=…) joins a transaction on the service's own database {name}, and this connection is to "
        "another, or not by postgresql+asyncpg: give the application's engine the same database, or leave "
        "connection= out"
    )


class JoinedTx:
    """A `hocket.store.port.Joined` on PostgreSQL: rows have no owner until the relay claims them after the commit."""

    def __init__(self, connection: AsyncConnection, raw: asyncpg.Connection, boot: str, clock: Clock) -> None:
        self._connection = connection
        self._raw = raw
        self._boot = boot
        self._clock = clock

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        road = statements.write if statements.together(endings) else statements.apart
        return await road(self._raw, endings, None, self._clock.now().timestamp())

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that this transaction sees."""
        return statements.inbox(await self._raw.fetch(sql.LOOK, list(keys)))

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows of these runs, locked."""
        if not runs:
            return {}
        await self._raw.execute(locks(runs).removeprefix("; "))
        return statements.ledger(await self._raw.fetch(sql.RUNS, list(runs), self._boot))

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due."""
        return count(await self._raw.execute(sql.CANCEL, schedule, self._clock.now().timestamp())) > 0

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        found = await self._raw.fetchrow(sql.OFFSET, reader)
        return Offset(*found) if found else Offset()

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset."""
        values = (reader, to.next, to.token, seen.next, seen.token)
        moved = count(await self._raw.execute(sql.ADVANCE, *values))
        if not moved and seen == Offset():
            moved = count(await self._raw.execute(sql.FIRST_OFFSET, reader, to.next, to.token))
        return moved == 1

    async def db(self) -> AsyncConnection:
        """The application's own connection."""
        return self._connection

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` when the application commits: just before the database has done it."""
        event.listen(self._connection.sync_connection, "commit", lambda _: call(), once=True)
