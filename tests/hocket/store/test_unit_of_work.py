"""One transaction, opened when first needed: what is promised to handlers, `service.tx()` and readers alike."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, insert, select

from hocket.clock import SystemClock
from hocket.errors import StoreError
from hocket.store.port import WriteTransaction
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, Written
from hocket.store.sqlite.store import SqliteStore
from hocket.store.unit_of_work import Superseded, UnitOfWork

KEY = b"k" * 32
tables = MetaData()
tolls = Table("tolls", tables, Column("id", Integer, primary_key=True))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(str(tmp_path / "unit.db"), clock=SystemClock(), boot="boot")
    await made.open(tables)
    yield made
    await made.close()


def _claim(key: bytes = KEY) -> InboxWrite:
    return InboxWrite(InboxRow(key, "tower", "id", InboxState.HANDLED, 1), 1)


class _FailsOnce:
    """A claim whose first write fails as a store that is away does."""

    def __init__(self) -> None:
        self.errors = [StoreError("gone")]

    async def write(self, tx: WriteTransaction) -> bool:
        if self.errors:
            raise self.errors.pop()
        [written] = await tx.write([Ending(inbox=_claim())])
        return written.won

    async def again(self, tx: WriteTransaction) -> Ending | None:
        return None


async def _tolls(store: SqliteStore) -> int:
    async with store.read() as connection:
        return len((await connection.execute(select(tolls))).all())


async def test_the_claim_is_written_once_however_many_ask_at_once(store: SqliteStore) -> None:
    """Concurrent first calls share one transaction; it commits what was written by all of them."""
    unit = UnitOfWork(store, _claim())
    first, second, _ = await asyncio.gather(unit.open(), unit.open(), unit.cancel("none"))
    assert first is second
    await first.execute(insert(tolls))
    await unit.commit(Ending(inbox=_claim()))
    await unit.leave()
    assert await _tolls(store) == 1
    assert set(await store.inbox([KEY])) == {KEY}


async def test_what_is_left_without_a_commit_is_rolled_back(store: SqliteStore) -> None:
    """After `leave` the key is free, and the next unit gets the write lease."""
    unit = UnitOfWork(store, _claim())
    await (await unit.open()).execute(insert(tolls))
    await unit.leave(ValueError("no"))
    again = UnitOfWork(store, _claim())
    await asyncio.wait_for(again.open(), 1)
    await again.leave()
    assert await _tolls(store) == 0


async def test_a_lost_claim_stays_lost(store: SqliteStore) -> None:
    """RULES 3.1: also where the caller caught `Superseded`; and it holds no write lease any more."""
    await store.commit([Ending(inbox=_claim())])
    unit = UnitOfWork(store, _claim())
    for _ in range(2):
        with pytest.raises(Superseded):
            await unit.open()
    with pytest.raises(Superseded):
        await unit.commit(Ending(inbox=_claim()))
    other = UnitOfWork(store)
    await asyncio.wait_for(other.open(), 1)
    await other.leave()


async def test_a_claim_that_fails_leaves_nothing_open(store: SqliteStore) -> None:
    """Its error reaches the caller; a second try begins anew instead of waiting for the first one's lease."""
    unit = UnitOfWork(store, _FailsOnce())
    with pytest.raises(StoreError, match="gone"):
        await unit.open()
    await asyncio.wait_for(unit.open(), 1)
    await unit.leave()


async def test_reading_ends_where_writing_begins(store: SqliteStore) -> None:
    """The connection for reading before is closed by the first write; one that is asked for later sees no more."""
    unit = UnitOfWork(store)
    before = await unit.read()
    assert await unit.read() is before
    db = await unit.open()
    assert before.closed
    await db.execute(insert(tolls))
    assert (await (await unit.read()).execute(select(tolls))).all() == []
    await unit.leave()


async def test_a_caller_that_is_cut_while_it_waits_for_the_lease_leaves_nothing(store: SqliteStore) -> None:
    """What was not entered is not left; whoever waits behind it gets the lease."""
    async with store.transaction():
        unit = UnitOfWork(store, _claim())
        waits = asyncio.create_task(unit.open())
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        await unit.leave()
    assert not unit.opened
    other = UnitOfWork(store)
    await asyncio.wait_for(other.open(), 1)
    await other.leave()


async def test_within_a_transaction_of_another_nothing_ends(store: SqliteStore) -> None:
    """Its owner commits: leaving the unit with an error undoes nothing."""
    async with store.transaction() as tx:
        unit = UnitOfWork.within(tx)
        db = await unit.open()
        assert await unit.read() is db
        await db.execute(insert(tolls))
        await unit.leave(ValueError("no"))
    assert await _tolls(store) == 1


async def test_what_was_never_opened_goes_by_the_shared_commit(store: SqliteStore) -> None:
    """No transaction of its own for one ending; none at all for nothing; a held key is no answer but a try again."""
    shared: list[Ending] = []
    answer = Written(True)

    async def share(ending: Ending) -> Written:
        shared.append(ending)
        return answer

    @asynccontextmanager
    async def begin() -> AsyncIterator[WriteTransaction]:
        raise AssertionError("a transaction was opened")
        yield  # pragma: no cover

    def unit() -> UnitOfWork:
        return UnitOfWork(store, _claim(), share=share, begin=begin)

    assert await unit().commit(Ending()) == ()
    await unit().commit(Ending(inbox=_claim()))
    assert shared == [Ending(inbox=_claim())]
    answer = Written(False)
    lost = unit()
    with pytest.raises(Superseded):
        await lost.commit(Ending(inbox=_claim()))
    assert lost.lost
    answer = Written(False, blocked=True)
    with pytest.raises(StoreError, match="try again"):
        await unit().commit(Ending(inbox=_claim()))
