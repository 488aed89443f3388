"""The store contract on subjects: older values lose, marks send who waits, both are forgotten (RULES 15)."""

from hocket.store.port import CrashableStore
from hocket.store.records import Ending, InboxState, RowKind, Written
from hocket.store.subjects.purge import purge
from hocket.store.subjects.rows import Latest, LatestWrite, MarkWrite, schedule_of
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, ending, key_of, outbox_row, routing

SUBJECT = key_of("order/1")
DONE = MarkWrite(SUBJECT, done=True)


def valued(name: str, value: int, subject: bytes = SUBJECT, field: str = "version") -> Ending:
    """An ending whose event has this value."""
    return ending(name)._replace(latest=LatestWrite(subject, Latest(field, bytes([value]))))


def waiting(name: str, seconds: float = 60.0, subject: bytes = SUBJECT) -> Ending:
    """A delivery that waits for the predecessor."""
    row = outbox_row(name, wait=seconds, kind=RowKind.SELF, schedule=schedule_of(subject))
    state = ending(name, state=InboxState.RETRY, recorded=0, outbox=[row])
    return state._replace(marks=(MarkWrite(subject, False, seconds),))


async def won(store: CrashableStore, *endings: Ending) -> list[bool]:
    """Which of these endings won."""
    return [each.won for each in await store.commit(endings)]


async def value_of(store: CrashableStore, subject: bytes = SUBJECT) -> int | None:
    """The greatest value that was handled."""
    row = (await store.subjects.look([subject], [])).latest.get(subject)
    return row.value[0] if row is not None else None


def due_now(written: list[Written]) -> list[str]:
    """What this process was handed to publish at once."""
    return routing([row for one in written for row in one.outbox if not row.later])


class SubjectsContract(StoreSuite):
    """RULES 15: staleness and predecessors."""

    async def test_an_older_value_loses(self, house: StoreHouse) -> None:
        """RULES 15.1: what is less than the greatest handled loses whole; what is equal or greater wins."""
        store = await house.start()
        assert await won(store, valued("five", 5)) == [True]
        assert await won(store, valued("three", 3), ending("beside")) == [False, True]
        assert set(await store.inbox([key_of("three"), key_of("beside")])) == {key_of("beside")}
        assert await won(store, valued("five again", 5), valued("three, elsewhere", 3, key_of("order/2"))) == [True] * 2
        assert await won(store, valued("nine", 9)) == [True]
        assert await value_of(store) == 9

    async def test_two_of_a_subject_in_one_group(self, house: StoreHouse) -> None:
        """RULES 15.1: the second sees what the first left, in the order in which they ended."""
        store = await house.start()
        assert await won(store, valued("a", 5), valued("b", 3), valued("c", 5), valued("d", 7)) == [
            True, False, True, True,
        ]  # fmt: skip
        assert await value_of(store) == 7

    async def test_values_of_another_field_are_not_compared(self, house: StoreHouse) -> None:
        """RULES 15.1: after `latest_by` names another field nothing is silenced; the row is the new one's."""
        store = await house.start()
        assert await won(store, valued("a", 9), valued("b", 2, field="updated_at")) == [True, True]
        assert await value_of(store) == 2

    async def test_who_loses_its_inbox_raises_nothing(self, house: StoreHouse) -> None:
        """RULES 15.1, 3.1: of a loser nothing is written, neither a new row nor a greater value."""
        store = await house.start()
        assert await won(store, ending("known")) == [True]
        assert await won(store, valued("known", 9)) == [False]
        assert await value_of(store) is None
        assert await won(store, valued("low", 1)) == [True]
        assert await won(store, valued("known", 9), valued("two", 2)) == [False, True]
        assert await value_of(store) == 2

    async def test_a_transaction_that_rolls_back_raises_nothing(self, house: StoreHouse) -> None:
        """RULES 15.1: the row moves with what the handler wrote, or not at all."""
        store = await house.start()
        async with store.transaction() as tx:
            assert [each.won for each in await tx.write([valued("kept", 4)])] == [True]
        try:
            async with store.transaction() as tx:
                await tx.write([valued("lost", 9)])
                raise ZeroDivisionError
        except ZeroDivisionError:
            pass
        assert await value_of(store) == 4
        async with store.transaction() as tx:
            assert [each.won for each in await tx.write([valued("older", 3)])] == [False]

    async def test_done_sends_who_waits(self, house: StoreHouse) -> None:
        """RULES 15.4: the predecessor's commit hands over all who wait for this subject, and only those."""
        store = await house.start()
        await store.commit([waiting("a"), waiting("b"), waiting("elsewhere", subject=key_of("order/2"))])
        assert await store.due(0, 10) == []
        written = await store.commit([ending("first")._replace(marks=(DONE,))])
        assert due_now(written) == ["a", "b"]
        assert routing(await store.due(0, 10)) == ["a", "b"]
        assert due_now(await store.commit([ending("second")._replace(marks=(DONE,))])) == []

    async def test_who_asks_after_it_was_done_does_not_wait(self, house: StoreHouse) -> None:
        """RULES 15.4: under the row's lock one of the two sees the other, so no wake-up is lost."""
        store = await house.start()
        await store.commit([ending("first")._replace(marks=(DONE,))])
        assert due_now(await store.commit([waiting("late")])) == ["late"]
        assert (await store.subjects.look([], [SUBJECT, key_of("order/2")])).done == {SUBJECT}

    async def test_both_in_one_group(self, house: StoreHouse) -> None:
        """RULES 15.4: whichever of the two stands first in a group."""
        store = await house.start()
        first, second = key_of("order/1"), key_of("order/2")
        done = [ending(name)._replace(marks=(MarkWrite(key, True),)) for name, key in (("x", first), ("y", second))]
        written = await store.commit([done[0], waiting("a", subject=first), waiting("b", subject=second), done[1]])
        assert sorted(due_now(written)) == ["a", "b"]

    async def test_a_loser_marks_nothing(self, house: StoreHouse) -> None:
        """RULES 15.4, 3.1: a predecessor that was not handled in this run wakes nobody."""
        store = await house.start()
        await store.commit([waiting("a"), ending("first")])
        assert due_now(await store.commit([ending("first")._replace(marks=(DONE,))])) == []
        assert (await store.subjects.look([], [SUBJECT])).done == frozenset()

    async def test_who_waits_is_sent_by_whoever_lives(self, house: StoreHouse) -> None:
        """RULES 15.4: the process that waits may die, and so may the one that was handed the rows."""
        store = await house.start()
        await store.commit([waiting("a")])
        await house.crash(store)
        second = await house.start("boot-2")
        assert due_now(await second.commit([ending("first")._replace(marks=(DONE,))])) == ["a"]
        await house.crash(second)
        third = await house.start("boot-3")
        assert routing(await third.due(0, 10)) == ["a"]

    async def test_at_the_bound_it_is_due(self, house: StoreHouse) -> None:
        """RULES 15.4, 11.1: where nobody is done, the store's clock says when the wait is over."""
        store = await house.start()
        await store.commit([waiting("a", 60.0)])
        await house.step(59.0)
        assert await store.due(None, 10) == []
        await house.step(2.0)
        assert routing(await store.due(None, 10)) == ["a"]

    async def test_rows_of_subjects_are_forgotten(self, house: StoreHouse) -> None:
        """RULES 15.2, 2.7: what was last changed before the moment goes; who still waits is not forgotten."""
        store = await house.start()
        await store.commit([valued(f"v{n}", 5, key_of(f"order/{n}")) for n in range(5)])
        await store.commit([ending("first")._replace(marks=(DONE,)), waiting("w", 900.0, key_of("order/2"))])
        now = (await store.clock.time()).now
        assert sum([each async for each in purge(store, now - 60, 2)]) == 0
        await house.step(100.0)
        now = (await store.clock.time()).now
        assert sum([each async for each in purge(store, now - 50, 2)]) == 6
        assert await value_of(store) is None
        assert due_now(await store.commit([ending("y")._replace(marks=(MarkWrite(key_of("order/2"), True),))])) == ["w"]
