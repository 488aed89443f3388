"""The SQLite store keeps the contract, with a thread and without."""

from pathlib import Path

from hocket.clock import Clock
from hocket.stores.sqlite import SqliteStore
from hocket.testing.store_contract import StoreContract
from hocket.testing.store_house import CrashableStore


class TestSqliteThread(StoreContract):
    """As services run it."""

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """One file."""
        return SqliteStore(str(where / "shop.db"), clock=clock, boot=boot)


class TestSqliteInline(StoreContract):
    """As it runs under virtual time."""

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """The same file, no thread."""
        return SqliteStore(str(where / "shop.db"), clock=clock, boot=boot, inline=True)
