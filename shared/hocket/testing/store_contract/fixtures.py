"""What the store contract stands on: a clock that is set, rows to write, stores that start and die."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table

from hocket.broker.port import Message
from hocket.clock import Clock
from hocket.saga.ledger import Kept, LedgerRow, LedgerState
from hocket.store.port import CrashableStore
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, OutboxRow, RowKind

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

    def move(self, seconds: float) -> None:
        """Later by so many seconds."""
        self.seconds += seconds


def key_of(name: str) -> bytes:
    """A key as long as the real ones."""
    return name.encode().rjust(20, b"\0")


def inbox_row(name: str, state: InboxState, attempt: int, **more: object) -> InboxRow:
    """An inbox row of this name."""
    row = InboxRow(key_of(name), "shop.pack", f"event-{name}", state, attempt, updated=START)
    return row._replace(**more)  # type: ignore[arg-type]  # the fields of InboxRow, by name


def outbox_row(routing_key: str, *, wait: float = 0.0, kind: RowKind = RowKind.EVENT, schedule: str = "") -> OutboxRow:
    """An outbox row that is told apart by its routing key."""
    message = Message("hocket.events", routing_key, b'{"a":1}', "application/json", {"hocket-attempt": 2, "x": "y"})
    return OutboxRow(kind, message, START, f"id-{routing_key}", subject="order/1", schedule=schedule, wait=wait)


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


def near(seconds: float) -> Any:
    """About so many seconds, by a clock that a test cannot stop."""
    return pytest.approx(seconds, abs=5.0)


#: What a run keeps, bytes that are no UTF-8 included.
KEPT = Kept(b'{"in":1}\x00\xff', (b'{"out":1}', b"\xff\x00"))


def run_of(name: str) -> str:
    """A step run's name as long as the real ones."""
    return key_of(name).hex()


def ledger_row(name: str, state: LedgerState = LedgerState.BEGUN, *, version: int = 0) -> LedgerRow:
    """The ledger row of run `name` with everything in it, decided from the row of this version."""
    return LedgerRow(
        run_of(name), "flow", "payments.charge", "order/1", state, "token", "boot-1", key_of(name), b'{"failed":1}', 2,
        version=version, updated=START + 0.125, keeps=KEPT,
    )  # fmt: skip


def written(row: LedgerRow) -> LedgerRow:
    """The row as it is read after it was written; what it keeps is asked for apart."""
    return row._replace(version=row.version + 1, keeps=None)


def undated(rows: Mapping[str, LedgerRow]) -> dict[str, LedgerRow]:
    """The rows without what only the store knows: its clock, and where it keeps what belongs to them."""
    return {run: row._replace(updated=START + 0.125, kept=0) for run, row in rows.items()}


class StoreHouse:
    """Where a test opens stores, one after the other as processes start and die, and all are closed at the end."""

    def __init__(
        self,
        make: Callable[[Path, str, Clock], CrashableStore],
        lapse: Callable[[Path], Awaitable[None]],
        step: Callable[[Path, SetClock, float], Awaitable[None]],
        where: Path,
    ) -> None:
        self._make = make
        self._lapse = lapse
        self._step = step
        self._where = where
        self.open: list[CrashableStore] = []
        self.clock = SetClock()
        self.examples = 0  # of a property test, which share one store

    async def start(self, boot: str = "boot-1", *, take_over: bool = True) -> CrashableStore:
        """A process starts: open the store under this boot id and take over."""
        store = self._make(self._where, boot, self.clock)
        await store.open(TABLES)
        self.open.append(store)
        if take_over:
            await store.take_over()
        return store

    async def step(self, seconds: float) -> None:
        """The store's clock moves by so many seconds; negative: back."""
        await self._step(self._where, self.clock, seconds)

    async def crash(self, store: CrashableStore) -> None:
        """This process is killed, and the time of its leases passes."""
        self.open.remove(store)
        await store.abandon()
        await self._lapse(self._where)

    async def close(self) -> None:
        """The end of the test."""
        for store in self.open:
            await store.close()


class StoreSuite:
    """Tests that open stores of one driver."""

    def make(self, where: Path, boot: str, clock: Clock) -> CrashableStore:
        """A store of this driver that is not open yet, over the database of folder `where`, for this boot id."""
        raise NotImplementedError(f"{type(self).__name__} must say how its store is made: override make()")

    async def lapse(self, where: Path) -> None:
        """End the leases of every owner in the database of folder `where`; nothing to do where a lock is the lease."""

    async def step(self, where: Path, clock: SetClock, seconds: float) -> None:
        """Move the clock by which the store decides; by a server's own clock everything that it keeps moves instead."""
        clock.move(seconds)

    @pytest.fixture
    async def house(self, tmp_path: Path) -> AsyncIterator[StoreHouse]:
        """Stores for one test; all are closed at its end."""
        house = StoreHouse(self.make, self.lapse, self.step, tmp_path)
        yield house
        await house.close()
