"""The PostgreSQL store keeps the contract."""

import pytest

from deploy.database.server import PostgresServer
from hocket.store.postgres import sql
from tests.hocket.store.postgres.contract import PostgresContract
from tests.hocket.store.postgres.replicas import Replicas


class TestPostgres(PostgresContract):
    """Directly, without a pooler."""

    @pytest.fixture(autouse=True)
    def on(self, postgres: PostgresServer) -> None:
        """The server that the tests share."""
        type(self).server, type(self).url = postgres, postgres.url()


async def test_what_every_group_needs_is_planned_by_its_indexes(postgres: PostgresServer) -> None:
    """A connection has its plans before the first event, and none that goes through a whole table that will grow."""
    async with Replicas(postgres) as replicas:
        store = await replicas.start("boot")
        async with store._pools.kit() as kit:
            planned = await kit.fetch("SELECT statement FROM pg_prepared_statements WHERE generic_plans > 0")
            assert {sql.WRITE, sql.LOOK, sql.FORGET} <= {row["statement"] for row in planned}
            for name, kind, statement in (("look", "bytea", sql.LOOK), ("forget", "bigint", sql.FORGET)):
                await kit.execute(f"PREPARE {name}({kind}[]) AS {statement}")
                plan = await kit.fetch(f"EXPLAIN EXECUTE {name}('{{}}')")
                assert "Seq Scan" not in str(plan)
