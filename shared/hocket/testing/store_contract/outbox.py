# ruff: noqa: PT012 -- a transaction raises at its exit, so what raises is a block
"""The store contract on the outbox: order, owners, time."""

import pytest

from hocket.broker.port import Message
from hocket.errors import StoreError
from hocket.store.records import Ending, OutboxRow, RowKind, Waiting, Written
from hocket.testing.store_contract.fixtures import (
    START,
    StoreHouse,
    StoreSuite,
    ending,
    key_of,
    near,
    outbox_row,
    routing,
)


class OutboxContract(StoreSuite):
    """RULES 4: what is said waits here."""

    async def test_outbox_round_trip(self, house: StoreHouse) -> None:
        """RULES 4.4: a row comes back as it was said, byte for byte, with its id."""
        store = await house.start()
        headers: dict[str, str | int] = {"hocket-attempt": 3, "text": "ü"}
        message = Message("x", "r.v1", b"\x00\xff{}", "application/json", headers, "t", "flow", "/shop", START + 0.5)
        row = OutboxRow(RowKind.LETTER, message, START, "event", "order/1", key_of("a"), "")
        [written] = await store.commit([Ending(outbox=(row,))])
        assert written == Written(True, (row.stored(written.outbox[0].id),))
        assert [each._replace(due=START) for each in await store.due(0, 10)] == list(written.outbox)

    async def test_ids_grow_with_commit(self, house: StoreHouse) -> None:
        """RULES 4.2: ids grow in order of commit and are never given twice, also after the last row is deleted."""
        store = await house.start()
        first = (await store.commit([Ending(outbox=(outbox_row("a"), outbox_row("b")))]))[0].outbox
        await store.forget([row.id for row in first])
        second = (await store.commit([Ending(outbox=(outbox_row("c"),))]))[0].outbox
        ids = [row.id for row in (*first, *second)]
        assert ids == sorted(set(ids))

    async def test_due_in_order_and_behind(self, house: StoreHouse) -> None:
        """RULES 4.2: own due rows come oldest id first, behind the id the caller has, so many at a time."""
        store = await house.start()
        rows = (await store.commit([Ending(outbox=tuple(outbox_row(name) for name in "abcde"))]))[0].outbox
        assert routing(await store.due(0, 3)) == ["a", "b", "c"]
        assert routing(await store.due(rows[2].id, 3)) == ["d", "e"]

    async def test_later_rows_are_claimed_when_due(self, house: StoreHouse) -> None:
        """RULES 4.1: what is not due has no owner; it is claimed once, when due, whatever its id."""
        store = await house.start()
        later = [outbox_row("later", wait=50, kind=RowKind.SELF), outbox_row("last", wait=90)]
        rows = (await store.commit([Ending(outbox=(*later, outbox_row("now")))]))[0].outbox
        assert await store.next_due() == near(50)
        assert routing(await store.due(0, 10)) == ["now"]
        await house.step(50)
        assert routing(await store.due(rows[2].id, 10)) == ["later"]
        assert await store.due(rows[2].id, 10) == []
        assert await store.next_due() == near(40)
        await house.step(40)
        assert routing(await store.due(0, 10)) == ["later", "last", "now"]
        assert await store.next_due() is None

    async def test_going_on_behind_passes_nobody_by(self, house: StoreHouse) -> None:
        """RULES 4.1: a caller that goes on behind the highest id it was given meets every row."""
        store = await house.start()
        timers = tuple(outbox_row(f"timer-{n}", wait=1) for n in range(4))
        await store.commit([Ending(outbox=(*(outbox_row(f"own-{n}") for n in range(7)), *timers))])
        await house.step(1)
        met: list[OutboxRow] = []
        for _ in range(8):
            met += await store.due(max((row.id for row in met), default=0), 3)
        assert sorted(routing(met)) == sorted([f"own-{n}" for n in range(7)] + [f"timer-{n}" for n in range(4)])

    async def test_take_over_after_crash(self, house: StoreHouse) -> None:
        """RULES 4.1: what a dead process owned belongs to the next one; what it had not committed never was."""
        first = await house.start("boot-1")
        await first.commit([ending("a", outbox=[outbox_row("owned"), outbox_row("timer", wait=60)])])
        with pytest.raises(StoreError):
            async with first.transaction() as tx:
                await tx.write([ending("b", outbox=[outbox_row("open")])])
                await house.crash(first)
                await tx.write([])
        with pytest.raises(StoreError):
            await first.commit([])
        second = await house.start("boot-2")
        assert set(await second.inbox([key_of("a"), key_of("b")])) == {key_of("a")}
        assert routing(await second.due(0, 10)) == ["owned"]
        assert await second.next_due() == near(60)

    async def test_not_due_before_taken_over(self, house: StoreHouse) -> None:
        """RULES 4.1: rows of another boot are not this process's own until it takes over."""
        first = await house.start("boot-1")
        await first.commit([Ending(outbox=(outbox_row("a"),))])
        await house.crash(first)
        second = await house.start("boot-2", take_over=False)
        assert await second.due(0, 10) == []
        await second.take_over()
        assert routing(await second.due(0, 10)) == ["a"]

    async def test_cancel_wins_or_loses(self, house: StoreHouse) -> None:
        """RULES 4.5: cancelling deletes what is not yet due, and tells whether there was something."""
        store = await house.start()
        later = outbox_row("later", wait=60, kind=RowKind.SCHEDULED, schedule="order.late 1")
        early = outbox_row("early", wait=1, kind=RowKind.SCHEDULED, schedule="order.late 2")
        await store.commit([Ending(outbox=(later, early))])
        await house.step(1)
        async with store.transaction() as tx:
            assert await tx.cancel("order.late 1")
            assert not await tx.cancel("order.late 1")
            assert not await tx.cancel("order.late 2")  # it is due
            assert not await tx.cancel("order.late 3")
        await house.step(98)
        assert routing(await store.due(0, 10)) == ["early"]

    async def test_cancel_rolls_back_with_its_transaction(self, house: StoreHouse) -> None:
        """RULES 4.5: a handler that fails has cancelled nothing."""
        store = await house.start()
        row = outbox_row("later", wait=60, kind=RowKind.SCHEDULED, schedule="order.late 1")
        await store.commit([Ending(outbox=(row,))])
        with pytest.raises(ZeroDivisionError):
            async with store.transaction() as tx:
                assert await tx.cancel("order.late 1")
                raise ZeroDivisionError
        assert await store.next_due() == near(60)

    async def test_forget(self, house: StoreHouse) -> None:
        """RULES 4.4: confirmed rows are gone, the others stay; an unknown id is nothing."""
        store = await house.start()
        [written] = await store.commit([Ending(outbox=tuple(outbox_row(name) for name in "abc"))])
        await store.forget([written.outbox[0].id, written.outbox[2].id, 4711])
        await store.forget([])
        assert routing(await store.due(0, 10)) == ["b"]

    async def test_refused_is_set_aside(self, house: StoreHouse) -> None:
        """RULES 4.3: a refused row is counted and never sent again, also not by the next process."""
        store = await house.start("boot-1")
        [written] = await store.commit([Ending(outbox=(outbox_row("a"), outbox_row("b")))])
        await store.refuse(written.outbox[0].id, "PRECONDITION_FAILED - message size")
        assert routing(await store.due(0, 10)) == ["b"]
        await house.crash(store)
        store = await house.start("boot-2")
        assert routing(await store.due(0, 10)) == ["b"]
        assert await store.waiting() == Waiting(events=1, refused=1, oldest=near(0))

    async def test_waiting(self, house: StoreHouse) -> None:
        """RULES 4.6: due events and receipts are counted apart; timers are not due until their time, claimed or not."""
        store = await house.start()
        assert await store.waiting() == Waiting()
        rows = (
            outbox_row("event"),
            outbox_row("receipt", kind=RowKind.RECEIPT),
            outbox_row("letter", kind=RowKind.LETTER),
            outbox_row("retry", wait=50, kind=RowKind.SELF),
            outbox_row("scheduled", wait=90, kind=RowKind.SCHEDULED, schedule="s 1"),
        )
        [written] = await store.commit([Ending(outbox=rows)])
        assert await store.waiting() == Waiting(events=1, receipts=1, later=2, oldest=near(0))
        await house.step(90)
        assert await store.waiting() == Waiting(events=2, receipts=1, oldest=near(90))
        await store.forget([row.id for row in written.outbox[:3]])
        assert await store.waiting() == Waiting(events=1, oldest=near(40))
