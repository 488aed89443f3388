"""What is made or removed for one generation on PostgreSQL stops neither the others nor the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy import text

from deploy.database.server import PostgresServer
from hocket import Tx
from hocket.assembly import Assembly
from hocket.config import Config
from hocket.declarations.projections.projection import generation_of
from hocket.delivery.projecting.generations import Generation, GenerationState
from hocket.delivery.projecting.guard import hold
from hocket.delivery.projecting.rows import rows_of, write
from hocket.errors import StoreError
from hocket.worker.projections.making import make
from hocket.worker.projections.removal import remove_dropped
from hocket.worker.worker import Worker
from tests.hocket.worker.projections.test_keeper import generations
from tests.hocket.worker.projections.view_service import ring_service

PATIENCE = 20.0
#: A commit of the generation that serves may take so long.
SOON = 3.0


@pytest.fixture
async def database(postgres: PostgresServer) -> str:
    """The address of a database of its own."""
    return postgres.add_database(f"view_{uuid4().hex}")


@pytest.fixture
async def worker(database: str) -> AsyncIterator[Worker]:
    """A process with version 1 of the projection, on a broker in memory."""
    config = Config.model_construct(broker_url="memory://", database_url=database)
    async with AsyncExitStack() as stack:
        assembly = Assembly(config)
        stack.push_async_callback(assembly.close)
        found = (await assembly.start(ring_service(1), 0)).worker
        async with asyncio.timeout(PATIENCE):
            while not [each for each in await generations(found) if each.made]:  # noqa: ASYNC110 -- no event says it
                await asyncio.sleep(0.05)
        yield found


async def set_rows(worker: Worker, *wanted: Generation) -> list[Generation]:
    """The generations as they are to stand."""
    async with worker.runtime.store.transaction() as tx:
        before = await rows_of(await tx.db(), "view")
        await write(await tx.db(), before, wanted, 1.0)
    return await generations(worker)


async def commits(worker: Worker, n: int) -> None:
    """What each commit of this generation does first, soon."""
    projected = generation_of(worker.service.declarations.projections["view", 1], n).projected
    assert projected is not None
    async with asyncio.timeout(SOON), worker.runtime.store.transaction() as tx:
        await hold(await tx.db(), projected, [])


async def test_a_reader_of_dropped_tables_holds_up_nobody(worker: Worker, database: str) -> None:
    """RULES 14.4: a dump of the database reads them for hours; what serves goes on, and the removal is tried again."""
    [first] = await generations(worker)
    later = first._replace(n=2, tables=(), made=True)
    every = await set_rows(worker, first._replace(state=GenerationState.DROPPED), later)
    reader = await asyncpg.connect(database)
    try:
        async with reader.transaction():
            await reader.fetch("SELECT * FROM rings__1")
            removing = asyncio.create_task(remove_dropped(worker.runtime, every))
            await until_waiting(reader)
            await commits(worker, 2)
            with pytest.raises(StoreError):
                await removing
        assert worker.runtime.tasks.failed == ""
    finally:
        await reader.close()
    async with asyncio.timeout(PATIENCE):
        while [str(each.state) for each in await generations(worker)] != ["gone", "serving"]:  # noqa: ASYNC110 -- no event says it
            await asyncio.sleep(0.05)


async def until_waiting(connection: Any) -> None:
    """Until somebody waits for a lock on a table."""
    waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
    async with asyncio.timeout(PATIENCE):
        while not await connection.fetchval(waits):  # noqa: ASYNC110 -- the database says it
            await asyncio.sleep(0.01)


async def test_what_serves_goes_on_while_a_seed_runs(worker: Worker) -> None:
    """RULES 14.9: a seed may take minutes."""
    begun, goes_on = asyncio.Event(), asyncio.Event()

    async def seed(tx: Tx) -> None:
        await (await tx.db()).execute(text("SELECT 1"))
        begun.set()
        await goes_on.wait()

    template = ring_service(2, seed=seed).declarations.projections["view", 2]
    [first] = await generations(worker)
    await set_rows(worker, first, first._replace(n=2, version=2, state=GenerationState.BUILDING, made=False, tables=()))
    making = asyncio.create_task(make(worker.runtime, generation_of(template, 2), worker.handling))
    try:
        async with asyncio.timeout(PATIENCE):
            await begun.wait()
        await commits(worker, 1)
    finally:
        goes_on.set()
    assert await making
