"""An application's own transaction on PostgreSQL, and a look into its outbox."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.errors import HocketError
from hocket.setting_groups import PostgresSettings
from hocket.store.postgres.outbox_view import PostgresOutboxView
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Ending
from hocket.testing.store_contract.fixtures import ending, key_of, outbox_row, routing


class Shop:
    """A service's store and an application's engine over one schema."""

    def __init__(self, server: PostgresServer, schema: str) -> None:
        self.url, self.schema = server.url(), schema
        self.store = PostgresStore(self.url, clock=SystemClock(), boot="boot-1", schema=schema)

    def engine(self, schema: str) -> AsyncEngine:
        """An application's engine."""
        address = self.url.replace("postgresql://", "postgresql+asyncpg://", 1)
        return create_async_engine(address, connect_args={"server_settings": {"search_path": f'"{schema}"'}})


@pytest.fixture
async def shop(postgres: PostgresServer, tmp_path: Path) -> AsyncIterator[Shop]:
    """An open store."""
    made = Shop(postgres, tmp_path.name[-60:])
    await made.store.open()
    yield made
    await made.store.close()


async def test_it_stands_and_falls_with_the_applications_commit(shop: Shop) -> None:
    """RULES 2.3, 4.1: nothing before the commit, nothing after a rollback, no owner until claimed."""
    engine, told = shop.engine(shop.schema), []
    said = ending("k")._replace(outbox=(outbox_row("a"),))
    async with engine.connect() as connection:
        joined = await shop.store.join(connection)
        assert [one.won for one in await joined.write([said])] == [True]
        assert await joined.inbox([key_of("k")])
        await connection.rollback()
    assert not await shop.store.inbox([key_of("k")])
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE mine (name TEXT)"))
        joined = await shop.store.join(connection)
        joined.on_commit(lambda: told.append("committed"))
        await joined.write([said])
        assert not await shop.store.due(None, 10)
        assert not told
    assert told == ["committed"]
    assert routing(await shop.store.due(None, 10)) == ["a"]
    async with engine.connect() as connection:
        joined = await shop.store.join(connection)
        assert [one.won for one in await joined.write([said])] == [False]
    await engine.dispose()


async def test_another_schema_is_refused_and_harms_no_transaction(shop: Shop) -> None:
    """RULES 2.3: the application's transaction goes on behind the refusal."""
    engine = shop.engine("elsewhere")
    async with engine.connect() as connection:
        with pytest.raises(HocketError, match="give the application's engine the same database"):
            await shop.store.join(connection)
        assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
    await engine.dispose()


async def test_a_look_from_outside_and_a_second_chance(shop: Shop) -> None:
    """RULES 4.3: what waits and why, and refused rows are claimed again."""
    rows = (outbox_row("a.due"), outbox_row("b.later", wait=90), outbox_row("c.big"))
    [written] = await shop.store.commit([Ending(outbox=rows)])
    await shop.store.refuse(written.outbox[2].id, "too large")
    visit = PostgresOutboxView(shop.url, shop.schema, PostgresSettings())
    counts = await asyncio.to_thread(visit.counts)
    assert [each[:3] for each in counts] == [("event", "due", 1), ("event", "later", 1), ("event", "refused", 1)]
    kept = await asyncio.to_thread(visit.rows, 10)
    assert [(row.routing_key, row.reason) for row in kept] == [("c.big", "too large"), ("a.due", ""), ("b.later", "")]
    assert len(await asyncio.to_thread(lambda: visit.rows(10, refused=True))) == 1
    assert await asyncio.to_thread(visit.retry, [written.outbox[0].id]) == 0
    assert await asyncio.to_thread(visit.retry, []) == 1
    assert routing(await shop.store.due(None, 10)) == ["c.big"]
