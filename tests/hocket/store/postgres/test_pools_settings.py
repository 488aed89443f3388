# ruff: noqa: PT012 -- a transaction raises at its exit, so what raises is a block
"""Settings of PostgreSQL have an effect on a real server; a pool that is too small: test_faults.py, test_service.py."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any, cast

import pytest
from sqlalchemy import text

from deploy.database.server import PostgresServer
from hocket.errors import LeaseExpired, StoreError
from hocket.setting_groups import PostgresSettings
from hocket.testing.store_contract.fixtures import ending
from tests.hocket.store.postgres.replicas import Replicas

SMALL = PostgresSettings(
    postgres_pool=1, postgres_kit_pool=2, postgres_read_pool=1, postgres_pool_seconds=0.3, postgres_lock_seconds=0.5
)


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def test_the_pools_have_the_sizes_that_are_set(replicas: Replicas) -> None:
    """`HOCKET_POSTGRES_POOL`, `…_READ_POOL` and `…_POOL_SECONDS`: the next one waits and gets a `StoreError`."""
    store = await replicas.start("boot", settings=SMALL)
    began = time.monotonic()
    async with store.transaction() as tx:
        await tx.db()
        with pytest.raises(StoreError, match=r"gave no connection in 0\.3 s"):
            async with store.transaction() as other:
                await other.db()
    assert 0.3 <= time.monotonic() - began < 5

    async def read() -> None:
        async with store.read() as db:
            await db.execute(text("SELECT pg_sleep(1)"))

    with pytest.raises(StoreError, match=r"gave no connection in 0\.3 s"):
        await asyncio.gather(read(), read())


async def test_the_pool_of_the_kit_has_the_size_that_is_set(replicas: Replicas) -> None:
    """`HOCKET_POSTGRES_KIT_POOL`."""
    store = await replicas.start("boot", settings=SMALL)
    async with AsyncExitStack() as held:
        for _ in range(SMALL.postgres_kit_pool):
            await held.enter_async_context(store._pools.kit())
        pool = cast("Any", store._pools._kit)
        assert (pool.get_size(), pool.get_idle_size(), pool.get_max_size()) == (2, 0, 2)


async def test_the_group_commit_waits_for_a_row_as_long_as_is_set(replicas: Replicas) -> None:
    """`HOCKET_POSTGRES_LOCK_SECONDS`: then the ending is `blocked`."""
    store = await replicas.start("boot", settings=SMALL)
    async with store.transaction() as tx:
        await tx.write([ending("k")])
        began = time.monotonic()
        [written] = await store.commit([ending("k")])
        assert written.blocked
        assert 0.4 < time.monotonic() - began < 5


async def test_a_transaction_is_held_as_long_as_is_set(replicas: Replicas) -> None:
    """`HOCKET_TRANSACTION_SECONDS`."""
    store = await replicas.start("boot", transaction_seconds=0.2)
    with pytest.raises(LeaseExpired, match=r"longer than 0\.2 s"):
        async with store.transaction() as tx:
            await tx.db()
            await asyncio.sleep(0.5)
