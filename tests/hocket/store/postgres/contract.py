"""The contract of a store on one PostgreSQL server, each test in a schema of its own."""

import asyncio
from pathlib import Path

from deploy.database.server import PostgresServer
from hocket.clock import Clock
from hocket.setting_groups import PostgresSettings
from hocket.store.port import CrashableStore
from hocket.store.postgres.store import PostgresStore
from hocket.testing.store_contract import StoreContract
from hocket.testing.store_contract.fixtures import SetClock

#: What is dated moves back, as if the clock went forward.
AGED = """UPDATE hocket_outbox SET due = due - (SECONDS); UPDATE hocket_inbox SET updated = updated - (SECONDS);
UPDATE hocket_ledger SET updated = updated - (SECONDS); UPDATE hocket_breakers SET until = until - (SECONDS);
UPDATE hocket_timers SET due = due - (SECONDS), updated = updated - (SECONDS);
UPDATE hocket_latest SET updated = updated - (SECONDS); UPDATE hocket_marks SET updated = updated - (SECONDS);
UPDATE hocket_meta SET value = value::double precision - (SECONDS) WHERE name IN ('horizon', 'swept');"""


class PostgresContract(StoreContract):
    """The server, the address by which the store reaches it, and its settings; a test class fills them."""

    server: PostgresServer
    url: str
    settings = PostgresSettings()

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """A schema that is named after the folder."""
        return PostgresStore(self.url, clock=clock, boot=boot, schema=where.name[-60:], settings=self.settings)

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
