"""The PostgreSQL store keeps the contract."""

import asyncio
from pathlib import Path

import pytest

from deploy.database.server import PostgresServer
from hocket.clock import Clock
from hocket.store.port import CrashableStore
from hocket.store.postgres import sql
from hocket.store.postgres.store import PostgresStore
from hocket.testing.store_contract import StoreContract
from hocket.testing.store_contract.fixtures import SetClock
from tests.hocket.store.postgres.replicas import Replicas

#: What is dated moves back, as if the clock went forward.
AGED = """UPDATE hocket_outbox SET due = due - (SECONDS); UPDATE hocket_inbox SET updated = updated - (SECONDS);
UPDATE hocket_ledger SET updated = updated - (SECONDS);
UPDATE hocket_meta SET value = value::double precision - (SECONDS) WHERE name IN ('horizon', 'swept');"""


class TestPostgres(StoreContract):
    """Each test has a schema of its own on one server."""

    server: PostgresServer

    @pytest.fixture(autouse=True)
    def on(self, postgres: PostgresServer) -> None:
        """The server that the tests share."""
        type(self).server = postgres

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """A schema that is named after the folder."""
        return PostgresStore(self.server.url(), clock=clock, boot=boot, schema=where.name[-60:])

    async def step(self, where: Path, clock: SetClock, seconds: float) -> None:
        """The server's clock cannot be moved: everything that was dated by it moves the other way."""
        here = f'SET search_path TO "{where.name[-60:]}";'
        moved = AGED.replace("SECONDS", str(seconds))
        await asyncio.to_thread(self.server.sql, here + moved)

    async def lapse(self, where: Path) -> None:
        """End every lease."""
        here = f'SET search_path TO "{where.name[-60:]}";'
        lapse = "UPDATE hocket_owners SET until = 0"
        await asyncio.to_thread(self.server.sql, here + lapse)


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
