"""Several processes' worth of stores on one PostgreSQL schema, closed at the end."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.errors import StoreError
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Ending, Written
from hocket.testing.store_contract.fixtures import TABLES

#: Seconds in which whatever a test waits for must have happened.
PATIENCE = 30.0


class Replicas:
    """One schema of its own, and the stores that a test opens on it."""

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.schema = f"test_{uuid4().hex}"
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def make(self, boot: str, **more: Any) -> PostgresStore:
        """A store that is not open."""
        return PostgresStore(self.server.url(), clock=SystemClock(), boot=boot, schema=self.schema, **more)

    async def start(self, boot: str, **more: Any) -> PostgresStore:
        """An open one."""
        store = self.make(boot, **more)
        await store.open(TABLES)
        self._stack.push_async_callback(store.close)
        return store

    async def sql(self, statement: str) -> str:
        """Run a statement beside the stores; `hocket_…` stands for the table in this schema."""
        said = statement.replace("hocket_", f'"{self.schema}".hocket_')
        return await asyncio.to_thread(self.server.sql, said)

    async def lapse(self, boot: str) -> None:
        """The lease of this process runs out."""
        await self.sql(f"UPDATE hocket_owners SET until = 0 WHERE boot = '{boot}'")  # noqa: S608 -- a test's own name


async def insist(store: PostgresStore, endings: list[Ending]) -> list[Written]:
    """Commit as the pipeline does: again after each `StoreError`, the blocked ones again apart."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                written = await store.commit(endings)
            except StoreError:
                await asyncio.sleep(0.05)
                continue
            for at, one in enumerate(written):
                if one.blocked:
                    [written[at]] = await insist(store, [endings[at]])
            return written
