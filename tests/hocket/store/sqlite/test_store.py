"""The SQLite store keeps the contract, with a thread and without."""

import asyncio
from contextlib import suppress
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from hocket.clock import Clock
from hocket.errors import StoreError
from hocket.store.port import CrashableStore
from hocket.store.sqlite.connection import in_parts
from hocket.store.sqlite.store import SqliteStore
from hocket.testing.store_contract import StoreContract
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, ending, key_of, ledger_row


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

    async def test_writes_that_wait_together_are_one_transaction(self, house: StoreHouse) -> None:
        """RULES 3.3: one sync of the disk for all of the kit's writes that wait for the lease."""
        store, run = await house.start(), ledger_row("d")
        said = await statements_of(store)
        async with store.transaction():
            tasks = [asyncio.create_task(store.commit([ending(name)])) for name in "abc"]
            admission = asyncio.create_task(store.admit([key_of("d")], [run], []))
            await asyncio.sleep(0)
        assert [one.won for [one] in await asyncio.gather(*tasks)] == [True, True, True]
        assert (await admission).begun == {run.run}
        assert said.count("COMMIT") == 1
        assert set(await store.inbox([key_of(name) for name in "abc"])) == {key_of(name) for name in "abc"}

    async def test_one_that_raises_takes_no_other_along(self, house: StoreHouse) -> None:
        """RULES 3.3: what waited together is written one by one then, and each has its own answer."""
        store = await house.start()
        broken = ending("b")._replace(receipt="no bytes")  # type: ignore[arg-type]  # as a defect of ours would be
        async with store.transaction():
            tasks = [asyncio.create_task(store.commit([each])) for each in (ending("a"), broken, ending("c"))]
            await asyncio.sleep(0)
        one, other, third = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(other, TypeError)
        assert [answer[0].won for answer in (one, third) if isinstance(answer, list)] == [True, True]
        assert set(await store.inbox([key_of(name) for name in "abc"])) == {key_of("a"), key_of("c")}

    async def test_the_first_of_them_may_give_up(self, house: StoreHouse) -> None:
        """RULES 3.3: a caller that is cancelled takes its own work back, and that of nobody else."""
        store = await house.start()
        async with store.transaction():
            tasks = [asyncio.create_task(store.commit([ending(name)])) for name in "abc"]
            await asyncio.sleep(0)
            tasks[0].cancel()
            await asyncio.sleep(0)
        gone, *others = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(gone, asyncio.CancelledError)
        assert all(isinstance(answer, list) and answer[0].won for answer in others)
        assert set(await store.inbox([key_of(name) for name in "abc"])) == {key_of("b"), key_of("c")}

    async def test_a_store_that_is_abandoned_answers_all(self, house: StoreHouse) -> None:
        """None of those that wait is left without an answer, and nothing of them is written."""
        store = await house.start()
        with suppress(StoreError):
            async with store.transaction():
                tasks = [asyncio.create_task(store.commit([ending(name)])) for name in "abc"]
                await asyncio.sleep(0)
                await store.abandon()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(answer) for answer in answers] == [StoreError] * 3


@given(st.integers(0, 1000))
def test_parts_of_few_sizes(many: int) -> None:
    """All rows, in order; a statement for each power of two up to the most is all that must stay prepared."""
    parts = list(in_parts(range(many), 128))
    assert [row for part in parts for row in part] == list(range(many))
    assert {len(part) for part in parts} <= {1 << at for at in range(8)}
    assert len(parts) <= many // 128 + 7


async def statements_of(store: CrashableStore) -> list[str]:
    """What the writing connection is told from now on."""
    said: list[str] = []
    assert isinstance(store, SqliteStore)
    await store._write(lambda connection: connection.set_trace_callback(said.append))
    return said


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
