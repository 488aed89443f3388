"""The PostgreSQL store keeps the contract."""

import asyncio
from pathlib import Path

import pytest

from deploy.database.server import PostgresServer
from hocket.clock import Clock
from hocket.stores.postgres import PostgresStore
from hocket.testing.store_contract import StoreContract
from hocket.testing.store_house import CrashableStore


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

    async def lapse(self, where: Path) -> None:
        """End every lease."""
        here = f'SET search_path TO "{where.name[-60:]}";'
        lapse = "UPDATE hocket_owners SET until = 0"
        await asyncio.to_thread(self.server.sql, here + lapse)
