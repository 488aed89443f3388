"""Whose database it is, and which queues it remembers, where replicas start at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select, text

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.store.schema import META
from hocket.worker.database_owner import OWNER, claim
from hocket.worker.removed_queues import QUEUES, RemovedQueues
from tests.hocket.sample_runtime import runtime_of
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas

WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%hocket_meta%'"


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


@pytest.mark.parametrize("what", [OWNER, QUEUES])
async def test_a_replica_that_starts_at_the_same_time_harms_nobody(replicas: Replicas, what: str) -> None:
    """What another has written, and not committed yet, is waited for; then both agree."""
    first, second = await replicas.start("one"), await replicas.start("two")
    async with first.transaction() as tx:
        db = await tx.db()
        add = text("INSERT INTO hocket_meta (name, value) VALUES (:name, :value)")
        await db.execute(add, {"name": what, "value": "shop" if what == OWNER else "[]"})
        runtime = runtime_of("shop", second, SystemClock())
        await runtime.transport.open()
        work = claim(second, "shop") if what == OWNER else RemovedQueues(runtime, ["shop.pack"]).look()
        task = asyncio.create_task(work)
        async with asyncio.timeout(PATIENCE):
            while not task.done() and await asyncio.to_thread(replicas.server.sql, WAITS) == "0":  # noqa: ASYNC110 -- no event tells
                await asyncio.sleep(0.02)
    await task
    async with first.read() as db:
        found = await db.scalar(select(META.c.value).where(META.c.name == what))
    assert found == ("shop" if what == OWNER else '["shop.pack"]')
