"""The kit's tables in one PostgreSQL schema: made where absent, migrated where an earlier hocket made them.

One process at a time does it, also where several replicas start at once: an advisory lock makes the others wait.
"""

import asyncio

import asyncpg
from sqlalchemy import Connection, MetaData
from sqlalchemy.dialects import postgresql as postgresql_dialect
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from hocket.errors import ConfigError
from hocket.store import schema as tables
from hocket.store.postgres.pools import Pools
from hocket.store.sql import META

#: The advisory lock under which tables are made, the same for every hocket: "hocket" as a number.
_LOCK = 0x686F636B6574
#: Seconds between looks whether another process has made them.
LOCK_LOOK_SECONDS = 0.1


async def create(pools: Pools, schema: str, own: MetaData | None) -> None:
    """Make or migrate the kit's tables and make a service's `own` where absent; what asyncpg raises comes through.

    `ConfigError` where a later hocket has made them and says that this one is too old for them.
    """
    connection = await pools.connect(answer=pools.statement_seconds)
    try:
        while not await connection.fetchval(f"SELECT pg_try_advisory_lock({_LOCK})"):  # noqa: ASYNC110 -- not ours to set
            await asyncio.sleep(LOCK_LOOK_SECONDS)  # asked each time, so that a server that went away is noticed
        await connection.execute(f'CREATE SCHEMA IF NOT EXISTS "{schema}"')
        if await connection.fetchval("SELECT to_regclass($1)", f'"{schema}".hocket_meta') is None:
            await _make(connection)
            found = tables.stamps()
        else:
            found = dict(await connection.fetch(META))
        if sentence := tables.refusal(pools.shown, found):
            raise ConfigError(sentence)
        if own is not None or int(found["schema"]) < tables.SCHEMA:
            await _migrate(pools, int(found["schema"]), own)
    except BaseException:
        connection.terminate()  # nobody waits for a server that went away
        raise
    await connection.close(timeout=pools.statement_seconds)  # the lock ends with it


async def _make(connection: asyncpg.Connection) -> None:
    async with connection.transaction():
        dialect = postgresql_dialect.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy left this one untyped
        for statement in tables.statements(dialect):
            await connection.execute(statement)
        await connection.executemany(
            "INSERT INTO hocket_meta (name, value) VALUES ($1, $2)", list(tables.stamps().items())
        )


async def _migrate(pools: Pools, found: int, own: MetaData | None) -> None:
    def work(connection: Connection) -> None:
        if found < tables.SCHEMA:
            from hocket.store.migrations import migrate

            migrate(connection, found)
        if own is not None:
            own.create_all(connection)

    engine = create_async_engine("postgresql+asyncpg://", async_creator=pools.connect, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(work)
    finally:
        await engine.dispose()
