# ruff: noqa: PT012 -- a transaction raises at its exit, so what raises is a block
"""The store contract on transactions: one writer, a bounded lease, what handlers get."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from sqlalchemy.orm import DeclarativeBase

from hocket.errors import HocketError, LeaseExpired, StoreError
from hocket.store.port import Store, WriteTransaction
from hocket.store.records import Ending, Offset
from hocket.testing.store_contract.fixtures import (
    TABLES,
    THINGS,
    StoreHouse,
    StoreSuite,
    ending,
    key_of,
    ledger_row,
    outbox_row,
    run_of,
    undated,
    written,
)

#: Seconds of a lease that is meant to run out.
SHORT = 0.05
#: Readers at once, more than any pool has connections.
READERS = 50
#: Seconds in which whatever a test waits for must have happened.
PATIENCE = 10.0
#: Ways to end a transaction by hand.
ACTS = (
    "commit", "rollback", "begin", "close", "statement", "abort", "prepared", "comment", "lines", "end",
    "rollback work", "inner commit", "inner rollback", "session commit", "session begin", "session rollback",
)  # fmt: skip


async def names(store: Store) -> list[str]:
    """The committed things."""
    async with store.read() as db:
        return [name for (name,) in await db.execute(select(THINGS.c.name).order_by(THINGS.c.id))]


async def expired(tx: WriteTransaction) -> None:
    """Wait until the lease of this transaction is over."""
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                await tx.ledger([])
            except LeaseExpired:
                return
            await asyncio.sleep(SHORT / 10)


async def count(db: AsyncConnection, table: str) -> int:
    """Rows of a table of the kit."""
    found = (await db.execute(select(func.count()).select_from(text(table)))).scalar_one()
    assert isinstance(found, int)
    return found


class _Base(DeclarativeBase):
    metadata = TABLES


class _Thing(_Base):
    __table__ = THINGS


async def _session(db: AsyncConnection, *, rolls_back: bool = False) -> None:
    async with AsyncSession(db) as session, session.begin():
        session.add(_Thing(name="by a session"))
        await session.flush()
        if rolls_back:
            await session.rollback()


class TransactionContract(StoreSuite):
    """RULES 3.3, 5 and 7.1: what happens inside one transaction."""

    async def test_of_two_readers_one_stops(self, house: StoreHouse) -> None:
        """RULES 7.1: an offset moves only from where its reader saw it, with that reader's token."""
        store = await house.start()
        async with store.transaction() as tx:
            fresh = await tx.offset("log")
            assert fresh == Offset()
            assert await tx.advance("log", fresh, Offset(0, "first"))
        async with store.transaction() as tx:
            assert not await tx.advance("log", fresh, Offset(0, "second"))
            seen = await tx.offset("log")
            assert seen == Offset(0, "first")
            assert await tx.advance("log", seen, Offset(10, "first"))
            assert not await tx.advance("log", seen, Offset(11, "first"))
            assert not await tx.advance("log", Offset(10, "other"), Offset(11, "other"))
            assert await tx.offset("receipts") == Offset()

    async def test_handler_writes_beside_the_kit(self, house: StoreHouse) -> None:
        """RULES 3.1: `db()` is the same transaction: it sees the kit's rows, commits and rolls back with them."""
        store = await house.start()
        async with store.transaction() as tx:
            await tx.write([ending("a", outbox=[outbox_row("a")])])
            db = await tx.db()
            assert await tx.db() is db
            assert await count(db, "hocket_inbox") == 1
            await db.execute(insert(THINGS).values(name="kept"))
        assert await names(store) == ["kept"]
        with pytest.raises(ZeroDivisionError):
            async with store.transaction() as tx:
                await (await tx.db()).execute(insert(THINGS).values(name="lost"))
                await tx.write([ending("b")])
                raise ZeroDivisionError
        assert await names(store) == ["kept"]
        assert await store.inbox([key_of("b")]) == {}

    async def test_handler_may_fail_a_part(self, house: StoreHouse) -> None:
        """RULES 3.1: a broken constraint or a savepoint undoes itself alone; the transaction goes on."""
        store = await house.start()
        async with store.transaction() as tx:
            db = await tx.db()
            await db.execute(insert(THINGS).values(id=1, name="kept"))
            with pytest.raises(IntegrityError):
                async with db.begin_nested():
                    await db.execute(insert(THINGS).values(id=2, name="undone"))
                    await db.execute(insert(THINGS).values(id=1, name="twice"))
            await db.execute(insert(THINGS).values(id=3, name="after"))
        assert await names(store) == ["kept", "after"]

    @pytest.mark.parametrize("act", ACTS)
    async def test_handler_cannot_end_it(self, house: StoreHouse, act: str) -> None:
        """RULES 3.1: committing, rolling back or closing by hand raises, and nothing of it stands."""
        store = await house.start()
        with pytest.raises(HocketError, match="transaction is hocket's"):
            async with store.transaction() as tx:
                db = await tx.db()
                await db.execute(insert(THINGS).values(name="lost"))
                acts: dict[str, Callable[[], Awaitable[object]]] = {
                    "commit": db.commit,
                    "rollback": db.rollback,
                    "begin": db.begin,
                    "close": db.close,
                    "statement": lambda: db.execute(text("COMMIT")),
                    "abort": lambda: db.execute(text("abort;")),
                    "prepared": lambda: db.exec_driver_sql("PREPARE TRANSACTION 'mine'"),
                    "comment": lambda: db.execute(text("/* mine /* too */ */ COMMIT")),
                    "lines": lambda: db.execute(text("-- mine\n ; -- too\nCommit /* now */")),
                    "end": lambda: db.exec_driver_sql("END"),
                    "rollback work": lambda: db.execute(text("ROLLBACK/**/WORK")),
                    "session commit": AsyncSession(db).commit,
                    "session begin": lambda: _session(db),
                    "session rollback": lambda: _session(db, rolls_back=True),
                    "inner commit": lambda: db.run_sync(lambda connection: connection.commit()),
                    "inner rollback": lambda: db.run_sync(lambda connection: connection.rollback()),
                }
                with pytest.raises(HocketError, match="transaction is hocket's"):
                    await acts[act]()
        assert await names(store) == []
        await store.commit([ending("a")])

    async def test_an_orm_session_joins(self, house: StoreHouse) -> None:
        """RULES 3.1: a session reads, writes, flushes, undoes a part and closes; the store commits what is left."""
        store = await house.start()
        async with store.transaction() as tx:
            async with AsyncSession(await tx.db()) as session:
                session.add(_Thing(id=1, name="flushed"))
                await session.flush()
                async with session.begin_nested():
                    session.add(_Thing(id=2, name="by a savepoint"))
                part = await session.begin_nested()
                session.add(_Thing(id=3, name="undone"))
                await session.flush()
                await part.rollback()
                with pytest.raises(IntegrityError):
                    async with session.begin_nested():
                        session.add(_Thing(id=1, name="twice"))
                assert (await session.scalars(select(THINGS.c.name).order_by(THINGS.c.id))).all() == [
                    "flushed",
                    "by a savepoint",
                ]
            await tx.write([ending("a")])
        assert await names(store) == ["flushed", "by a savepoint"]

    async def test_a_refused_commit_is_the_transactions_own(self, house: StoreHouse) -> None:
        """RULES 3.2: what only the commit refuses is no `StoreError`: all is rolled back, and the next one goes on."""
        store = await house.start()
        async with store.transaction() as tx:
            db = await tx.db()
            await db.execute(text("CREATE TABLE parents (id INTEGER PRIMARY KEY)"))
            await db.execute(
                text(
                    "CREATE TABLE children "
                    "(parent INTEGER NOT NULL REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)"
                )
            )
        with pytest.raises(IntegrityError, match="COMMIT"):
            async with store.transaction() as tx:
                await tx.write([ending("a", outbox=[outbox_row("a")])])
                await (await tx.db()).execute(text("INSERT INTO children VALUES (1)"))
        assert await store.inbox([key_of("a")]) == {}
        async with store.transaction() as tx:
            await tx.write([ending("b")])
        assert await store.inbox([key_of("b")])

    async def test_the_kits_own_transaction(self, house: StoreHouse) -> None:
        """RULES 3.1, 3.3: it tells of every run whether there is a row, and is whole or not at all."""
        store = await house.start()
        row = ledger_row("run")
        async with store.kit_transaction() as tx:
            assert await tx.ledger([run_of("run"), run_of("none")]) == {}
            assert [each.won for each in await tx.write([ending("a"), Ending(ledger=(row,))])] == [True, True]
        with pytest.raises(ZeroDivisionError):
            async with store.kit_transaction() as tx:
                await tx.write([ending("b")])
                raise ZeroDivisionError
        async with store.kit_transaction() as tx:
            assert undated(await tx.ledger([run_of("run")])) == {row.run: written(row)}
        assert set(await store.inbox([key_of("a"), key_of("b")])) == {key_of("a")}

    async def test_read_sees_what_is_committed(self, house: StoreHouse) -> None:
        """RULES 3.3: `read()` needs no lease, sees nothing that is open, and cannot write."""
        store = await house.start()
        async with store.transaction() as tx, store.read() as reading:
            await (await tx.db()).execute(insert(THINGS).values(name="open"))
            assert (await reading.execute(select(THINGS))).all() == []
            with pytest.raises(HocketError, match=r"tx\.db"):
                await reading.execute(insert(THINGS).values(name="by the way"))
        assert await names(store) == ["open"]

    async def test_a_read_cannot_begin_a_transaction(self, house: StoreHouse) -> None:
        """RULES 3.3: a read begins nothing, by method or by statement; its commit and rollback do nothing."""
        store = await house.start()
        async with store.read() as reading:
            with pytest.raises(HocketError, match="do not begin"):
                reading.begin()
            with pytest.raises(HocketError, match="do not begin"):
                await reading.execute(text("BEGIN"))
            await reading.commit()
            await reading.rollback()
            assert (await reading.execute(select(THINGS))).all() == []

    async def test_many_read_at_once(self, house: StoreHouse) -> None:
        """RULES 3.3: a reader that waits for the outside keeps no other reader waiting."""
        store = await house.start()
        async with AsyncExitStack() as stack, asyncio.timeout(PATIENCE):
            readers = [await stack.enter_async_context(store.read()) for _ in range(READERS)]
            for each in readers:
                assert (await each.execute(select(THINGS))).all() == []

    async def test_lease_runs_out(self, house: StoreHouse) -> None:
        """RULES 3.3: a transaction beyond its lease is rolled back and fenced; the next one does not wait for it."""
        store = await house.start()
        with pytest.raises(LeaseExpired):
            async with store.transaction(SHORT) as tx:
                db = await tx.db()
                await db.execute(insert(THINGS).values(name="lost"))
                async with asyncio.timeout(PATIENCE):
                    await store.commit([ending("next")])
                await expired(tx)
                with pytest.raises(LeaseExpired):
                    await db.execute(insert(THINGS).values(name="too late"))
                with pytest.raises(LeaseExpired):
                    await tx.write([ending("too late")])
                with pytest.raises(LeaseExpired):
                    await tx.db()
        assert await names(store) == []
        assert set(await store.inbox([key_of("next"), key_of("too late")])) == {key_of("next")}

    async def test_fenced_does_not_write_into_the_next(self, house: StoreHouse) -> None:
        """RULES 3.3: a fenced handler that goes on writes nothing into the transaction of another."""
        store = await house.start()
        with pytest.raises(LeaseExpired):
            async with store.transaction(SHORT) as fenced:
                late = await fenced.db()
                async with asyncio.timeout(PATIENCE), store.transaction() as tx:
                    await (await tx.db()).execute(insert(THINGS).values(name="mine"))
                    await expired(fenced)
                    with pytest.raises(LeaseExpired):
                        await late.execute(insert(THINGS).values(name="not mine"))
        assert await names(store) == ["mine"]

    async def test_ended_is_ended(self, house: StoreHouse) -> None:
        """RULES 3.3: what was handed out is of no use after the end."""
        store = await house.start()
        async with store.transaction() as tx:
            await tx.write([ending("a")])
        with pytest.raises(StoreError):
            await tx.write([ending("b")])
        await store.commit([ending("c")])
        assert set(await store.inbox([key_of(name) for name in "abc"])) == {key_of("a"), key_of("c")}

    async def test_cancelled_callers_leave_nothing_open(self, house: StoreHouse) -> None:
        """RULES 3.3: wherever a caller is cancelled, the lease comes free and no half of its work stands."""
        store = await house.start()

        async def writes(number: int) -> None:
            await store.commit([ending(f"commit-{number}")])
            async with store.transaction() as tx:
                await (await tx.db()).execute(insert(THINGS).values(name=f"first-{number}"))
                await (await tx.db()).execute(insert(THINGS).values(name=f"second-{number}"))

        for turns in range(40):
            task = asyncio.create_task(writes(turns))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(PATIENCE):
                await store.commit([ending(f"after-{turns}")])
        written = await names(store)
        assert [name.replace("second", "first") for name in written[1::2]] == written[::2]

    async def test_close_finishes_what_is_under_way(self, house: StoreHouse) -> None:
        """RULES 1.2: closing waits for the open transaction and what stands behind it; later calls are refused."""
        store = await house.start()
        async with store.transaction() as tx:
            await tx.write([ending("open")])
            behind = asyncio.create_task(store.commit([ending("behind")]))
            await asyncio.sleep(0)
            closing = asyncio.create_task(store.close())
            await asyncio.sleep(0)
            with pytest.raises(StoreError, match="closed"):
                await store.commit([ending("late")])
        await asyncio.gather(behind, closing)
        again = await house.start("boot-2")
        found = await again.inbox([key_of(name) for name in ("open", "behind", "late")])
        assert set(found) == {key_of("open"), key_of("behind")}
