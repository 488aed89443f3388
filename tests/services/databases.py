"""A service's own tables in a real database: SQLite or PostgreSQL, by its address."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from hocket.clock import SystemClock
from hocket.envelope.keys import INBOX_KEY_BYTES
from hocket.resilience.blocking import BlockingCalls
from hocket.resilience.breakers.registry import alone
from hocket.resilience.guard import BreakerGuard
from hocket.store.port import Store, WriteTransaction
from hocket.store.postgres.store import PostgresStore
from hocket.store.sqlite.store import SqliteStore
from hocket.store.unit_of_work import UnitOfWork
from hocket.tx import AttemptInfo, Tx


@asynccontextmanager
async def database(tables: MetaData, address: str) -> AsyncIterator[AsyncConnection]:
    """An open connection to a fresh database that has `tables`."""
    driver = address.replace("sqlite:", "sqlite+aiosqlite:").replace("postgresql:", "postgresql+asyncpg:")
    engine = create_async_engine(driver)
    try:
        async with engine.connect() as db:
            await db.run_sync(tables.create_all)
            yield db
            await db.rollback()
    finally:
        await engine.dispose()


@asynccontextmanager
async def store_at(address: str, tables: MetaData | None) -> AsyncIterator[Store]:
    """The kit's store over that address, open, with `tables`."""
    clock = SystemClock()
    made: Store = (
        PostgresStore(address, clock=clock, boot="boot")
        if address.startswith("postgresql:")
        else SqliteStore(address.removeprefix("sqlite:///"), clock=clock, boot="boot")
    )
    await made.open(tables)
    try:
        yield made
    finally:
        await made.close()


def within(tx: WriteTransaction, uses: Any = None) -> Tx[Any]:
    """An open transaction of a store, as a handler or reader gets it."""

    clock = SystemClock()
    about = AttemptInfo(
        bytes(INBOX_KEY_BYTES), "flow", "subject", clock.now(), idempotency_key="key", step_key="step-key", attempt=1
    )
    guard = BreakerGuard(alone(clock), clock)
    return Tx(about, uses, UnitOfWork.within(tx), guard, BlockingCalls(0))
