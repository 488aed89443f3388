"""A service's own tables in a real SQLite database in memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine


@asynccontextmanager
async def database(tables: MetaData) -> AsyncIterator[AsyncConnection]:
    """An open connection to a fresh database that has `tables`."""
    engine = create_async_engine("sqlite+aiosqlite://")
    try:
        async with engine.connect() as db:
            await db.run_sync(tables.create_all)
            yield db
            await db.rollback()
    finally:
        await engine.dispose()
