"""The store contract on time-outs: written by version with their ending, called once when due (RULES 5.7)."""

import asyncio
from dataclasses import replace

from hocket.saga.overdue import TimerRow, TimerState
from hocket.store.port import CrashableStore
from hocket.store.records import Ending, InboxState
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, ending, key_of, near, routing

ARMED = TimerRow(
    key_of("order/1"), "flow", "shop.overdue", "order/1", TimerState.ARMED, 1, 0.0, 60.0, key_of("placed"),
    b'{"alarm":1}\x00\xff', b"", 1,
)  # fmt: skip
MET = replace(ARMED, state=TimerState.MET, input=b"", answer=b'{"id":"e"}', version=2)
MINE = ["shop.overdue"]


def timed(name: str, *rows: TimerRow) -> Ending:
    """An ending that changes these time-outs."""
    return ending(name)._replace(timers=rows)


def armed(name: str, wait: float = 60.0, subscription: str = "shop.overdue") -> Ending:
    """What arms the time-out of this name."""
    row = replace(ARMED, run=key_of(name), scope=name, wait=wait, subscription=subscription, input=name.encode())
    return timed(f"arms {name}", row)


async def stored(store: CrashableStore, name: str = "order/1") -> TimerRow | None:
    """The row as it stands."""
    return (await store.timers.rows([key_of(name)])).get(key_of(name))


async def won(store: CrashableStore, *endings: Ending) -> list[bool]:
    """Which of these endings won."""
    return [each.won for each in await store.commit(endings)]


class TimersContract(StoreSuite):
    """RULES 5.7: time-outs."""

    async def test_a_row_is_written_with_its_ending(self, house: StoreHouse) -> None:
        """RULES 5.7, 3.1: everything in it comes back; the store makes the moment at which it is due."""
        store = await house.start()
        assert await stored(store) is None
        assert await won(store, timed("placed", ARMED)) == [True]
        row = await stored(store)
        now = (await store.clock.time()).now
        assert row is not None
        assert (row.due, row.updated) == (near(now + 60), near(now))
        assert replace(row, due=0.0, updated=0.0) == ARMED
        assert await won(store, timed("paid", MET)) == [True]
        met = await stored(store)
        assert met is not None
        assert met.due == row.due
        assert replace(met, due=0.0, updated=0.0) == MET

    async def test_another_version_loses(self, house: StoreHouse) -> None:
        """RULES 3.1: who decided by a row that is no longer so has lost, and nothing of its ending is written."""
        store = await house.start()
        assert await won(store, timed("paid first", MET)) == [False]
        assert await won(store, timed("placed", ARMED), ending("beside")) == [True, True]
        again = replace(ARMED, armed_key=key_of("again"))
        third = replace(MET, version=3)
        assert await won(store, ending("a"), timed("b", again), timed("c", third)) == [True, False, False]
        assert set(await store.inbox([key_of(name) for name in ("paid first", "a", "b", "c")])) == {key_of("a")}
        assert await won(store, timed("d", MET), timed("e", MET)) == [True, False]

    async def test_an_ending_that_loses_its_inbox_changes_no_time_out(self, house: StoreHouse) -> None:
        """RULES 3.1: of a loser nothing is written, neither a new row nor a change of one."""
        store = await house.start()
        await store.commit([ending("paid"), ending("placed")])
        assert await won(store, timed("placed", ARMED)) == [False]
        assert await stored(store) is None
        await store.commit([timed("placed again", ARMED)])
        assert await won(store, timed("paid", MET), armed("order/2")) == [False, True]
        row = await stored(store)
        assert row is not None
        assert row.state is TimerState.ARMED

    async def test_in_a_transaction_of_the_kit(self, house: StoreHouse) -> None:
        """RULES 3.1: beside other endings of a group, whoever opened the transaction."""
        store = await house.start()
        async with store.kit_transaction() as tx:
            first, second = await tx.write([timed("placed", ARMED), ending("beside", state=InboxState.RETRY)])
        assert (first.won, second.won) == (True, True)
        assert await stored(store) is not None

    async def test_what_is_due_is_called_once(self, house: StoreHouse) -> None:
        """RULES 5.7: the earliest first, as many as asked for, of these subscriptions only; then an alarm waits."""
        store = await house.start()
        waits = {"c": 30.0, "a": 10.0, "b": 20.0, "later": 500.0}
        await store.commit([armed(name, wait) for name, wait in waits.items()])
        await store.commit([armed("theirs", 5.0, "shop.gone")])
        assert await store.timers.next_due(MINE) == near(10)
        assert await store.timers.next_due(["shop.none"]) is None
        assert await store.timers.call_due(MINE, 10) == []
        await house.step(40)
        alarms = await store.timers.call_due(MINE, 2)
        assert [row.message.body for row in alarms] == [b"a", b"b"]
        assert [row.message.body for row in await store.timers.call_due(MINE, 2)] == [b"c"]
        assert await store.timers.call_due(MINE, 2) == []
        [first, _] = alarms
        message = first.message
        assert (message.exchange, message.routing_key, message.app_id) == ("shop", "shop.overdue", "shop")
        assert (message.type, message.correlation_id) == ("hocket.overdue", "flow")
        assert routing(await store.due(0, 10)) == ["shop.overdue"] * 3
        row, theirs = await stored(store, "a"), await stored(store, "theirs")
        assert row is not None
        assert theirs is not None
        assert (row.state, row.version, row.n, row.input) == (TimerState.CALLED, 2, 1, b"a")
        assert theirs.state is TimerState.ARMED
        assert await store.timers.waiting(MINE) == (1, 0.0)
        assert (await store.timers.waiting(["shop.gone"])).lag == near(35)

    async def test_two_who_call_at_once_call_each_once(self, house: StoreHouse) -> None:
        """RULES 5.7: no time-out is called twice, whoever asks."""
        store = await house.start()
        await store.commit([armed(f"{n:03}", 0.001) for n in range(60)])
        await house.step(1)
        callers = [store.timers.call_due(MINE, 25) for _ in range(6)]
        called = [row.message.body for some in await asyncio.gather(*callers) for row in some]
        called += [row.message.body for row in await store.timers.call_due(MINE, 60)]
        assert sorted(called) == [f"{n:03}".encode() for n in range(60)]

    async def test_an_alarm_of_a_process_that_died_is_taken_over(self, house: StoreHouse) -> None:
        """RULES 4.1: it belongs to who called it, as what is said for now does."""
        store = await house.start()
        await store.commit([armed("order/1", 1.0)])
        await house.step(2)
        assert len(await store.timers.call_due(MINE, 10)) == 1
        await house.crash(store)
        following = await house.start("boot-2")
        assert routing(await following.due(0, 10)) == ["shop.overdue"]

    async def test_what_a_clock_that_was_ahead_has_armed_is_put_right(self, house: StoreHouse) -> None:
        """RULES 11.2: it is due its wait from now, and has another version then."""
        store = await house.start()
        await house.step(20 * 86_400)
        await store.commit([armed("order/1")])
        await house.step(-20 * 86_400)
        assert await store.clock.put_right() == 1
        assert await store.clock.put_right() == 0
        assert await store.timers.next_due(MINE) == near(60)
        assert await won(store, timed("paid", MET)) == [False]

    async def test_a_new_name_takes_what_the_former_one_armed(self, house: StoreHouse) -> None:
        """RULES 5.7: `formerly` moves rows; else nobody would call them."""
        store = await house.start()
        await store.commit([armed("a", 10.0, "shop.old"), armed("b", 10.0, "shop.other")])
        assert await store.timers.rename("shop.old", "shop.overdue") == 1
        await house.step(11)
        assert [row.message.body for row in await store.timers.call_due(MINE, 10)] == [b"a"]

    async def test_only_final_rows_are_purged(self, house: StoreHouse) -> None:
        """RULES 5.7: `armed` and `called` are never forgotten; the others in bounded steps, when they are old."""
        store = await house.start()
        rows = {state: replace(ARMED, run=key_of(state), scope=state, state=state) for state in TimerState}
        await store.commit([timed(f"old {state}", row) for state, row in rows.items()])
        await house.step(2000)
        new = replace(ARMED, run=key_of("new"), state=TimerState.MET)
        await store.commit([timed("new", new)])
        old = (await store.clock.time()).now - 1000
        steps = [await store.timers.purge(old, 4), await store.timers.purge(old, 4)]
        assert [step.done for step in steps] == [False, True]
        assert sum(step.removed for step in steps) == 3
        left = await store.timers.rows([*(row.run for row in rows.values()), new.run])
        assert {bytes(run) for run in left} == {key_of("armed"), key_of("called"), key_of("new")}
