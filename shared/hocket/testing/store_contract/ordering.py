"""The store contract on ordered subscriptions: the token, lines of subjects, what is parked and released (RULES 9)."""

from collections.abc import Sequence

from hocket.store.ordering.tokens import Blocked, blocked, lines_of, take, token_of
from hocket.store.port import CrashableStore, Store
from hocket.store.records import Ending, InboxState, LineChange, OrderedWrite, RowKind
from hocket.testing.store_contract.fixtures import StoreHouse, StoreSuite, ending, key_of, outbox_row, routing

LANE = "shop.pack"


async def taken(store: Store, boot: str = "boot-1") -> int:
    """A token that was taken just now."""
    found = await take(store, LANE, boot, 1.0, await token_of(store, LANE))
    assert found is not None
    return found.token


def ordered(
    name: str,
    token: int,
    change: LineChange = LineChange.NONE,
    state: InboxState = InboxState.HANDLED,
    *,
    attempt: int = 1,
    subject: str = "order/1",
    death: str = "",
    behind: str = "",
    place: int = 0,
) -> Ending:
    """What a run of an ordered subscription leaves behind."""
    parked = outbox_row(name, kind=RowKind.SELF) if change is LineChange.PARK else None
    if change is LineChange.PARK:
        state = InboxState.RETRY
    write = OrderedWrite(
        LANE, token, change, subject, key_of(name), death, key_of(behind) if behind else b"", place,
        parked and parked._replace(inbox_key=key_of(name), subject=""),
    )  # fmt: skip
    recorded = attempt - 1 if change is LineChange.PARK else attempt
    return ending(name, attempt, state, recorded=recorded)._replace(ordered=write)


def hold(name: str, token: int, death: str = "", attempt: int = 1, subject: str = "order/1") -> Ending:
    """A head that is not finished."""
    state = InboxState.DEAD if death else InboxState.RETRY
    return ordered(name, token, LineChange.HOLD, state, death=death, attempt=attempt, subject=subject)


def park(name: str, token: int, place: int, behind: str = "", subject: str = "order/1") -> Ending:
    """One that goes to the end of the line."""
    return ordered(name, token, LineChange.PARK, place=place, behind=behind, subject=subject)


def release(name: str, token: int, attempt: int = 1, subject: str = "order/1") -> Ending:
    """A head that is handled."""
    return ordered(name, token, LineChange.RELEASE, attempt=attempt, subject=subject)


async def won(store: CrashableStore, *endings: Ending) -> list[bool]:
    """Which of these endings won."""
    return [each.won for each in await store.commit(endings)]


async def sent(store: CrashableStore, *endings: Ending) -> list[list[str]]:
    """What each of these endings sent."""
    return [routing(each.outbox) for each in await store.commit(endings)]


async def line(store: Store, subject: str = "order/1") -> tuple[bytes, str, int] | None:
    """Head, death and how many wait."""
    found = (await lines_of(store, LANE, [subject])).get(subject)
    return found and (found.head, found.death, found.waiting)


async def states(store: CrashableStore, names: Sequence[str]) -> dict[str, str]:
    """The inbox states of these."""
    rows = await store.inbox([key_of(name) for name in names])
    return {name: rows[key_of(name)].state.value for name in names if key_of(name) in rows}


class OrderingContract(StoreSuite):
    """RULES 9: tokens and lines."""

    async def test_only_the_last_token_may_write(self, house: StoreHouse) -> None:
        """RULES 9.1: an ending under an older token loses whole; others of its group do not."""
        store = await house.start()
        assert await token_of(store, LANE) == 0
        assert await won(store, ordered("early", 1)) == [False]
        first = await taken(store)
        assert await won(store, ordered("a", first), ordered("b", first)) == [True, True]
        second = await taken(store, "boot-2")
        assert second == await token_of(store, LANE) == first + 1
        assert await won(store, ordered("c", first), ending("free"), ordered("d", second)) == [False, True, True]
        assert await states(store, ["early", "a", "b", "c", "d", "free"]) == dict.fromkeys(
            ["a", "b", "d", "free"], "handled"
        )

    async def test_a_handlers_own_transaction_is_checked_too(self, house: StoreHouse) -> None:
        """RULES 9.1: the token is checked where the ending is written, in whatever transaction."""
        store = await house.start()
        token = await taken(store)
        async with store.transaction() as tx:
            [mine] = await tx.write([ordered("a", token)])
            [others] = await tx.write([ordered("b", token - 1)])
        assert (mine.won, others.won) == (True, False)
        async with store.kit_transaction() as kit:
            [mine] = await kit.write([ordered("c", token)])
        assert mine.won
        assert await states(store, ["a", "b", "c"]) == {"a": "handled", "c": "handled"}

    async def test_a_line_begins_fills_and_empties_in_order(self, house: StoreHouse) -> None:
        """RULES 9.4, 9.5: the head holds, others are parked, and each end sends the next, whole, in its transaction."""
        store = await house.start()
        token = await taken(store)
        assert await won(store, hold("a", token)) == [True]
        assert await line(store) == (key_of("a"), "", 0)
        assert await won(store, park("c", token, 2), park("b", token, 1), park("b2", token, 9, subject="order/2")) == [
            True, True, False,
        ]  # fmt: skip
        assert await line(store) == (key_of("a"), "", 2)
        assert await states(store, ["a", "b", "c", "b2"]) == dict.fromkeys("abc", "retry")
        [written] = await store.commit([release("a", token, attempt=2)])
        [row] = written.outbox
        assert row._replace(due=0.0, id=0) == outbox_row("b", kind=RowKind.SELF)._replace(
            due=0.0, id=0, subject="order/1", inbox_key=key_of("b")
        )
        assert [each.id for each in await store.due(0, 10)] == [row.id]
        assert await line(store) == (key_of("b"), "", 1)
        assert await sent(store, release("b", token)) == [["c"]]
        assert await sent(store, release("c", token)) == [[]]
        assert await line(store) is None

    async def test_what_stands_in_the_line_is_parked_once(self, house: StoreHouse) -> None:
        """RULES 9.4: a copy of the head or of what is parked changes nothing."""
        store = await house.start()
        token = await taken(store)
        await store.commit([hold("a", token), park("b", token, 1)])
        assert await won(store, park("b", token, 5)) == [True]
        await store.commit([park("b", token, 6), park("c", token, 7)])
        assert await line(store) == (key_of("a"), "", 2)
        assert await sent(store, release("a", token, 2)) == [["b"]]
        assert await sent(store, release("b", token)) == [["c"]]

    async def test_only_the_head_releases(self, house: StoreHouse) -> None:
        """RULES 9.5: one that is not the head, or one that loses its inbox row, sends nothing."""
        store = await house.start()
        token = await taken(store)
        await store.commit([hold("a", token), park("b", token, 1)])
        assert await sent(store, release("other", token)) == [[]]
        assert await won(store, release("a", token)) == [False]  # attempt 1 is recorded already
        assert await line(store) == (key_of("a"), "", 1)
        assert await sent(store, release("x", token, subject="order/2")) == [[]]
        assert await line(store, "order/2") is None

    async def test_one_group_parks_and_releases(self, house: StoreHouse) -> None:
        """RULES 9.9: what is parked behind a running head is sent by its end, also where one group holds both."""
        store = await house.start()
        token = await taken(store)
        parks = (park("b", token, 1, behind="a"), park("c", token, 2, behind="a"))
        assert await sent(store, *parks, release("a", token)) == [[], [], ["b"]]
        assert await line(store) == (key_of("b"), "", 1)
        assert await sent(store, release("b", token)) == [["c"]]

    async def test_nothing_is_parked_behind_a_head_that_has_ended(self, house: StoreHouse) -> None:
        """RULES 9.9: its end has looked for a line already; who comes later finds no head and runs."""
        store = await house.start()
        token = await taken(store)
        await store.commit([release("a", token)])
        assert await won(store, park("b", token, 1, behind="a")) == [False]
        assert await line(store) is None
        assert await states(store, ["b"]) == {}

    async def test_a_dead_head_is_told(self, house: StoreHouse) -> None:
        """RULES 9.6: blocked subjects are counted, with what waits and since when; a new try of the head ends it."""
        store = await house.start()
        token = await taken(store)
        await store.commit([hold("a", token), park("b", token, 1), hold("k", token, subject="order/9")])
        assert await blocked(store) == {}
        await store.commit([hold("a", token, death="death-1", attempt=2)])
        now = (await store.clock.time()).now
        found = await blocked(store)
        assert found == {LANE: Blocked(1, 1, found[LANE].since)}
        assert abs(found[LANE].since - now) < 5
        assert await line(store) == (key_of("a"), "death-1", 1)
        await store.commit([park("c", token, 2)])
        assert (await blocked(store))[LANE] == Blocked(1, 2, found[LANE].since)

    async def test_lines_outlive_the_process(self, house: StoreHouse) -> None:
        """RULES 9.4: whoever takes the token finds the subjects that have a line, and the last place."""
        store = await house.start()
        token = await taken(store)
        await store.commit([hold("a", token), park("b", token, 41), hold("k", token, subject="order/9")])
        await house.crash(store)
        store = await house.start("boot-2")
        assert await take(store, LANE, "boot-2", 1.0, token - 1) is None, "another was taken meanwhile"
        found = await take(store, LANE, "boot-2", 1.0, token)
        assert found is not None
        assert (set(found.subjects), found.place) == ({"order/1", "order/9"}, 41)
        assert await won(store, release("a", token, 2)) == [False]
        assert await sent(store, release("a", found.token, 2)) == [["b"]]
