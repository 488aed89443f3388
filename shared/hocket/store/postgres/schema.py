"""The kit's tables in one PostgreSQL schema: made where absent, migrated where an earlier hocket made them.

One process at a time does it, also where several replicas start at once: an advisory lock of the transaction makes the
others wait. What stands already is only looked at, so that a role without the right to create works on it.
"""

import asyncio

from sqlalchemy import Connection, MetaData, insert, inspect, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from hocket.errors import ConfigError
from hocket.store import schema as tables
from hocket.store.postgres.pools import Pools

#: The advisory lock under which tables are made, the same for every hocket: "hocket" as a number.
_LOCK = 0x686F636B6574
#: Seconds between looks whether another process has made them.
LOCK_LOOK_SECONDS = 0.1
_TRY = text(f"SELECT pg_try_advisory_xact_lock({_LOCK})")
_FIND = text("SELECT current_schema(), to_regnamespace(quote_ident(:schema)) IS NOT NULL")


async def create(pools: Pools, own: MetaData | None) -> None:
    """Make or migrate the kit's tables and make a service's `own` where absent; what asyncpg raises comes through.

    `ConfigError` where a later hocket has made them and says that this one is too old for them, or where there is no
    schema to make them in.
    """
    engine = pools.engine(answer=pools.statement_seconds, pool_size=1)
    try:
        while not await _try(pools, engine, own):  # noqa: ASYNC110 -- not ours to set; each try notices a lost server
            await asyncio.sleep(LOCK_LOOK_SECONDS)
    finally:
        await engine.dispose()


async def _try(pools: Pools, engine: AsyncEngine, own: MetaData | None) -> bool:
    """Make or migrate all in one transaction; False where another process is at it."""
    async with engine.connect() as connection:
        raw = (await connection.get_raw_connection()).driver_connection
        assert raw is not None
        await raw.execute(pools.sessions.begin())
        try:
            if not (await connection.execute(_TRY)).scalar():
                await raw.execute("ROLLBACK")
                return False
            await connection.run_sync(_make_all, pools, own)
            await raw.execute("COMMIT")
        except BaseException:
            raw.terminate()  # nobody waits for a server that went away
            raise
    return True


def _make_all(connection: Connection, pools: Pools, own: MetaData | None) -> None:
    schema, database = pools.sessions.schema, pools.shown
    first, exists = connection.execute(_FIND, {"schema": schema}).one()
    if schema and not exists:
        connection.exec_driver_sql(f"CREATE SCHEMA {connection.dialect.identifier_preparer.quote_identifier(schema)}")
    elif not schema and first is None:
        raise ConfigError(
            f"database {database} has none of the schemas in this user's search_path: create one, or name one in "
            "HOCKET_POSTGRES_SCHEMA"
        )
    if not inspect(connection).has_table("hocket_meta", schema=schema or first):
        for statement in tables.statements(connection.dialect):
            connection.exec_driver_sql(statement)
        found = tables.stamps()
        stamps = [{"name": name, "value": value} for name, value in found.items()]
        connection.execute(insert(tables.META), stamps)
    else:
        found = {row.name: row.value for row in connection.execute(select(tables.META))}
    if sentence := tables.refusal(database, found):
        raise ConfigError(sentence)
    if int(found["schema"]) < tables.SCHEMA:
        from hocket.store.migrations.steps import migrate

        migrate(connection, int(found["schema"]))
    if own is not None:
        own.create_all(connection)
