"""A second PostgreSQL server that follows a first one, until it is promoted in its place."""

import asyncio
from pathlib import Path

from deploy.database.server import PostgresServer


class Standby(PostgresServer):
    """A hot standby of `primary`; the same users, passwords and data."""

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        super().__init__(folder)
        self.primary = primary
        self.user, self.password = primary.user, primary.password

    def _make_data(self) -> None:
        words = ["pg_basebackup", "-D", str(self._home / "data"), "-R", "-X", "stream", "-c", "fast", "--no-sync"]
        self._call([*words, "-d", self.primary.url()], {}, servant=True)

    async def caught_up(self) -> None:
        """Return once it has all that the primary has now."""
        position = await asyncio.to_thread(self.primary.sql, "SELECT pg_current_wal_lsn()")
        behind = f"SELECT pg_last_wal_replay_lsn() < '{position}'"
        while await asyncio.to_thread(self.sql, behind) == "t":  # noqa: ASYNC110 -- the caller bounds it
            await asyncio.sleep(0.02)

    async def promote(self) -> None:
        """Make it a primary that takes writes."""
        await asyncio.to_thread(self.sql, "SELECT pg_promote()")
