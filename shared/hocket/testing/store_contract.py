# ruff: noqa: S101 -- a shipped test suite speaks by assert
"""The contract of every store driver: subclass `StoreContract`, override `make`, and let pytest run it.

```python
class TestMyStore(StoreContract):
    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        return MyStore(where / "store", clock=clock, boot=boot)
```
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, select, text

from hocket.clock import Clock
from hocket.errors import HocketError, LeaseExpired, StoreError
from hocket.outcome import Attempt
from hocket.saga import LedgerRow, LedgerState
from hocket.store import Ending, InboxRow, InboxState, InboxWrite, Offset, OutboxRow, RowKind, Store, Waiting, Written
from hocket.transport import Message

#: The moment at which every test of the contract begins, in seconds since 1970.
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()

TABLES = MetaData()
THINGS = Table("things", TABLES, Column("id", Integer, primary_key=True), Column("name", String))


class SetClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.seconds = START

    def now(self) -> datetime:
        """The moment it was set to."""
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        """The same in seconds."""
        return self.seconds

    def move(self, by: timedelta) -> None:
        """Later by so much."""
        self.seconds += by.total_seconds()


class CrashableStore(Store, Protocol):
    """A store that can also stop as a killed process does."""

    async def abandon(self) -> None:
        """Roll back what is open, release what is held, wait for nobody."""
        ...


def key_of(name: str) -> bytes:
    """A key as long as the real ones."""
    return name.encode().rjust(20, b"\0")


def inbox_row(name: str, state: InboxState, attempt: int, **more: object) -> InboxRow:
    """An inbox row of this name."""
    row = InboxRow(key_of(name), "shop.pack", f"event-{name}", state, attempt, updated=START)
    return replace(row, **more)  # type: ignore[arg-type]  # the fields of InboxRow, by name


def outbox_row(routing_key: str, *, due: float = START, kind: RowKind = RowKind.EVENT, schedule: str = "") -> OutboxRow:
    """An outbox row that is told apart by its routing key."""
    message = Message("hocket.events", routing_key, b'{"a":1}', "application/json", {"hocket-attempt": 2, "x": "y"})
    return OutboxRow(kind, message, due, event_id=f"id-{routing_key}", subject="order/1", schedule=schedule)


def ending(
    name: str,
    attempt: int = 1,
    state: InboxState = InboxState.HANDLED,
    *,
    replay: bool = False,
    recorded: int | None = None,
    outbox: Sequence[OutboxRow] = (),
) -> Ending:
    """What run `attempt` of `name` leaves behind; `recorded` where the row keeps another attempt than the run's."""
    row = inbox_row(name, state, attempt if recorded is None else recorded)
    return Ending(InboxWrite(row, attempt, replay), tuple(outbox))


def routing(rows: Sequence[OutboxRow]) -> list[str]:
    """Which rows these are."""
    return [row.message.routing_key for row in rows]


class StoreHouse:
    """Where a test opens stores, one after the other as processes start and die, and all are closed at the end."""

    def __init__(self, contract: "StoreContract", where: Path) -> None:
        self._contract = contract
        self._where = where
        self._open: list[CrashableStore] = []
        self.clock = SetClock()

    async def start(self, boot: str = "boot-1") -> CrashableStore:
        """A process starts: open the store under this boot id and take over."""
        store = self._contract.make(self._where, boot, self.clock)
        await store.open(TABLES)
        self._open.append(store)
        await store.take_over()
        return store

    async def crash(self, store: CrashableStore) -> None:
        """This process is killed."""
        self._open.remove(store)
        await store.abandon()

    async def close(self) -> None:
        """The end of the test."""
        for store in self._open:
            await store.close()


class StoreContract:
    """The promises of `hocket.store`; override `make`."""

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """A store of this driver that is not open yet, over the database of folder `where`, for the boot id."""
        raise NotImplementedError(f"{type(self).__name__} must say how its store is made: override make()")

    @asynccontextmanager
    async def house(self, where: Path) -> AsyncIterator[StoreHouse]:
        """Stores for one test."""
        house = StoreHouse(self, where)
        try:
            yield house
        finally:
            await house.close()

    @pytest.mark.parametrize(
        ("state", "recorded", "run", "replay", "wins"),
        [
            (None, 0, 1, False, True),
            (InboxState.RETRY, 1, 2, False, True),
            (InboxState.RETRY, 0, 1, False, True),  # attempt 1 was deferred: it recorded 0 and runs as 1 again
            (InboxState.RETRY, 2, 3, False, True),
            (InboxState.RETRY, 2, 2, False, False),
            (InboxState.RETRY, 2, 1, False, False),
            (InboxState.HANDLED, 1, 2, False, False),
            (InboxState.HANDLED, 1, 2, True, False),
            (InboxState.REFUSED, 1, 2, True, False),
            (InboxState.DEAD, 3, 4, False, False),
            (InboxState.DEAD, 3, 4, True, True),
            (InboxState.DEAD, 3, 3, True, False),
        ],
    )
    async def test_who_wins(
        self, tmp_path: Path, state: InboxState | None, recorded: int, run: int, replay: bool, wins: bool
    ) -> None:
        """RULES 3.1: an ending wins on a new key, on a lower attempt not final, or as a replay of what is dead."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            if state is not None:
                await store.commit([ending("a", recorded, state)])
            [written] = await store.commit([ending("a", run, replay=replay, outbox=[outbox_row("said")])])
            assert written.won is wins
            assert routing(written.outbox) == (["said"] if wins else [])
            assert routing(await store.due(START, 0, 10)) == (["said"] if wins else [])
            row = (await store.inbox([key_of("a")]))[key_of("a")]
            assert (row.state, row.attempt) == ((InboxState.HANDLED, run) if wins else (state, recorded))

    async def test_deferred_runs_again(self, tmp_path: Path) -> None:
        """RULES 3.5: `deferred` of attempt n records n-1, so that attempt n wins once more, and only once."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            deferred = ending("a", 2, InboxState.RETRY, recorded=1)
            assert [w.won for w in await store.commit([deferred])] == [True]
            assert [w.won for w in await store.commit([ending("a", 2)])] == [True]
            assert [w.won for w in await store.commit([ending("a", 2)])] == [False]

    async def test_same_key_twice_in_one_call(self, tmp_path: Path) -> None:
        """RULES 3.1: of two endings of one key in one call the first wins; answers keep the order of the call."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            answers = await store.commit([
                ending("b", outbox=[outbox_row("b1")]),
                ending("a", outbox=[outbox_row("a1")]),
                ending("b", 2, outbox=[outbox_row("b2")]),
                Ending(outbox=(outbox_row("receipt", kind=RowKind.RECEIPT),)),
            ])
            assert [(answer.won, routing(answer.outbox)) for answer in answers] == [
                (True, ["b1"]),
                (True, ["a1"]),
                (False, []),
                (True, ["receipt"]),
            ]

    async def test_a_stale_twin_does_not_shade_a_good_run(self, tmp_path: Path) -> None:
        """RULES 3.1: a loser of a key leaves the next ending of that key in the same call its chance."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            await store.commit([ending("a", 1, InboxState.RETRY)])
            answers = await store.commit([ending("a", 1, InboxState.RETRY), ending("a", 2)])
            assert [answer.won for answer in answers] == [False, True]

    async def test_loser_writes_nothing(self, tmp_path: Path) -> None:
        """RULES 3.1: neither outbox nor ledger of a loser is written; its neighbours are."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            await store.commit([ending("a")])
            lost = replace(ending("a", outbox=[outbox_row("lost")]), ledger=(ledger_row("run-lost"),))
            kept = replace(ending("b", outbox=[outbox_row("kept")]), ledger=(ledger_row("run-kept"),))
            assert [w.won for w in await store.commit([lost, kept])] == [False, True]
            assert routing(await store.due(START, 0, 10)) == ["kept"]
            async with store.transaction() as tx:
                assert set(await tx.ledger(["run-lost", "run-kept"])) == {"run-kept"}

    async def test_won_writes_without_asking(self, tmp_path: Path) -> None:
        """RULES 3.1: a transaction that has won its key writes the row again at its end."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            async with store.transaction() as tx:
                assert (await tx.write([ending("a", state=InboxState.HANDLED)]))[0].won
                again = InboxWrite(inbox_row("a", InboxState.HANDLED, 1, said=("said-1",)), 1, won=True)
                assert (await tx.write([Ending(again, (outbox_row("said"),))]))[0].won
            assert (await store.inbox([key_of("a")]))[key_of("a")].said == ("said-1",)

    async def test_whole_or_not_at_all(self, tmp_path: Path) -> None:
        """RULES 3.1: when one row cannot be written, nothing of the call is, and the store goes on."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            broken = replace(outbox_row("x"), event_id="lone \ud800 surrogate")
            with pytest.raises(StoreError):
                await store.commit([ending("a", outbox=[outbox_row("a")]), ending("b", outbox=[broken])])
            assert await store.inbox([key_of("a"), key_of("b")]) == {}
            assert await store.due(START, 0, 10) == []
            assert [w.won for w in await store.commit([ending("a")])] == [True]

    async def test_failed_write_dooms_its_transaction(self, tmp_path: Path) -> None:
        """RULES 3.1: a handler that swallows a failed write does not commit half of it."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            with pytest.raises(StoreError, match="surrogate"):
                async with store.transaction() as tx:
                    with pytest.raises(StoreError):
                        await tx.write([
                            ending("a"),
                            ending("b", outbox=[replace(outbox_row("x"), subject="\ud800")]),
                        ])
            assert await store.inbox([key_of("a")]) == {}

    async def test_inbox_round_trip(self, tmp_path: Path) -> None:
        """RULES 1.6: the inbox row keeps everything, the whole history included."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            row = InboxRow(
                key=key_of("a"),
                subscription="payments.charge",
                event_id="event",
                state=InboxState.DEAD,
                attempt=5,
                base=2,
                version=3,
                data_hash=b"\x00\xff" * 8,
                revision=1,
                correlation_id="flow",
                said=("one", "zwei ✓"),
                death_id="death",
                spoke=True,
                history=(Attempt(1, "t0", "t1", "retry", "OSError", "gone", "trace"), Attempt(2, "t2", "t3", "dead")),
                updated=START + 0.25,
            )
            await store.commit([Ending(InboxWrite(row, 5))])
            assert await store.inbox([key_of("a"), key_of("none")]) == {key_of("a"): row}

    async def test_outbox_round_trip(self, tmp_path: Path) -> None:
        """RULES 4.4: a row comes back as it was said, byte for byte, with its id."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            headers = {"hocket-attempt": 3, "text": "ü"}
            message = Message("x", "r.v1", b"\x00\xff{}", "application/json", headers, "t", "flow", "/shop", START + 0.5)
            row = OutboxRow(RowKind.LETTER, message, START, "event", "order/1", key_of("a"), "")
            [written] = await store.commit([Ending(outbox=(row,))])
            assert written == Written(True, (row.stored(written.outbox[0].id),))
            assert await store.due(START, 0, 10) == list(written.outbox)

    async def test_ids_grow_with_commit(self, tmp_path: Path) -> None:
        """RULES 4.2: ids grow in order of commit and are never given twice, also after the last row is forgotten."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            first = (await store.commit([Ending(outbox=(outbox_row("a"), outbox_row("b")))]))[0].outbox
            await store.forget([row.id for row in first])
            second = (await store.commit([Ending(outbox=(outbox_row("c"),))]))[0].outbox
            ids = [row.id for row in (*first, *second)]
            assert ids == sorted(set(ids))

    async def test_due_in_order_and_behind(self, tmp_path: Path) -> None:
        """RULES 4.2: own due rows come oldest id first, behind the id the caller has, so many at a time."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            rows = (await store.commit([Ending(outbox=tuple(outbox_row(name) for name in "abcde"))]))[0].outbox
            assert routing(await store.due(START, 0, 3)) == ["a", "b", "c"]
            assert routing(await store.due(START, rows[2].id, 3)) == ["d", "e"]

    async def test_later_rows_are_claimed_when_due(self, tmp_path: Path) -> None:
        """RULES 4.1: what is not due has no owner; it is claimed once, when due, whatever its id."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            later = [outbox_row("later", due=START + 5, kind=RowKind.SELF), outbox_row("last", due=START + 9)]
            rows = (await store.commit([Ending(outbox=(*later, outbox_row("now")))]))[0].outbox
            assert await store.next_due() == START + 5
            assert routing(await store.due(START, 0, 10)) == ["now"]
            assert routing(await store.due(START + 5, rows[2].id, 10)) == ["later"]
            assert await store.due(START + 5, rows[2].id, 10) == []
            assert await store.next_due() == START + 9
            assert routing(await store.due(START + 9, 0, 10)) == ["later", "last", "now"]
            assert await store.next_due() is None

    async def test_going_on_behind_passes_nobody_by(self, tmp_path: Path) -> None:
        """RULES 4.1: a caller that goes on behind the highest id it was given meets every row."""
        async with self.house(tmp_path) as house:
            store = await house.start()
            timers = tuple(outbox_row(f"timer-{n}", due=START + 1) for n in range(4))
            await store.commit([Ending(outbox=(*(outbox_row(f"own-{n}") for n in range(7)), *timers))])
            met: list[OutboxRow] = []
            for _ in range(8):
                met += await store.due(START + 1, max((row.id for row in met), default=0), 3)
            assert sorted(routing(met)) == sorted([f"own-{n}" for n in range(7)] + [f"timer-{n}" for n in range(4)])

    async def test_take_over_after_crash(self, tmp_path: Path) -> None:
        """RULES 4.1: what a dead process owned belongs to the next one, what it had not committed never was."""
        async with self.house(tmp_path) as house:
            first = await house.start("boot-1")
            await first.commit([ending("a", outbox=[outbox_row("owned"), outbox_row("timer", due=START + 60)])])
            async with first.transaction() as tx:
                await tx.write([ending("b", outbox=[outbox_row("open")])])
                await house.crash(first)
                with pytest.raises(StoreError):
                    await tx.write([])
                second = await house.start("boot-2")
                assert set(await second.inbox([key_of("a"), key_of("b")])) == {key_of("a")}
                assert routing(await second.due(START, 0, 10)) == ["owned"]
                assert await second.next_due() == START + 60
                pytest.raises(StoreError, match="abandoned").__enter__()
