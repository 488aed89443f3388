"""The SQLite store keeps the contract, with a thread and without."""

import asyncio
from pathlib import Path

from hocket.clock import Clock
from hocket.store.port import CrashableStore
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract import StoreContract
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, ending


class OneWriter(StoreSuite):
    """What a database with one writer adds."""

    async def test_in_order_of_asking(self, house: StoreHouse) -> None:
        """RULES 3.3: the write lease goes round in order of asking, `commit` included."""
        store = await house.start()
        order: list[int] = []

        async def wants(number: int) -> None:
            if number % 2:
                await store.commit([ending(str(number))])
            else:
                async with store.transaction() as tx:
                    await tx.write([ending(str(number))])
            order.append(number)

        async with store.transaction():
            tasks = [asyncio.create_task(wants(number)) for number in range(7)]
            await asyncio.sleep(0)
            assert order == []
            tasks[3].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert order == [0, 1, 2, 4, 5, 6]


class TestSqliteThread(StoreContract, OneWriter):
    """As services run it."""

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """One file."""
        return SqliteStore(str(where / "shop.db"), clock=clock, boot=boot)


class TestSqliteInline(StoreContract, OneWriter):
    """As it runs under virtual time."""

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """The same file, no thread."""
        return SqliteStore(str(where / "shop.db"), clock=clock, boot=boot, inline=True)
