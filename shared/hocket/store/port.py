"""The port to a service's own database: inbox, outbox, step ledger and stream offsets in *one* transaction.

Promises every driver keeps (the contract suite is `hocket.testing.store_contract`):

- `commit` and everything written in one `transaction` happen whole or not at all, durably.
- `WriteTransaction.write` lets an ending win or lose by its inbox row (RULES 3.1), keys in order: insert, or update
  where the row is not final and its attempt is lower than the run's, or where it is dead, the run is a replay and the
  row's attempt is lower than the run's. Of a loser nothing is written. Endings with the same key in one call: the
  first wins.
- An ending with a ledger row is decided from the row as it was read: where the ledger has another version, nothing of
  it is written, and its answer is `again`. So are later endings with the same run in one call.
- A transaction holds the write lease at most `lease` seconds; then it is rolled back, fenced, and each further call
  and its exit raise `LeaseExpired`.
- `StoreError` means nothing was written *or the outcome is unknown*; the caller looks the keys up again (RULES 3.2).
  A commit that the database refuses (a deferred constraint) raises SQLAlchemy's error of it: nothing was written.
- A handler's statement keeps its own error, but for `TransactionLost` where the reason may pass.
- Rows that are said for now belong to this process (`owner`); what waits has no owner until `due` claims it. Whether
  it is due is decided by the store's clock, in the statement that asks (RULES 11.1).
- A process is an owner by one lease, which `renew` extends; when it is over, others take over all it owned (RULES 4.1).
  A driver that serves one process only raises `ConfigError` when another one holds its database (SQLite).
- The tables are versioned and migrated at `open`, by one process at a time (RULES 10.3).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.resilience.breakers.row import BreakerRow, Decide, Sight
from hocket.saga.ledger import Kept, LedgerRow
from hocket.store.records import (
    Admitted,
    Before,
    Ending,
    InboxRow,
    Offset,
    OutboxRow,
    OutboxViewRow,
    Purged,
    StoreTime,
    Waiting,
    Written,
)
from hocket.store.subjects.port import SubjectStore
from hocket.store.timers import TimerStore


class OpenTransaction(Protocol):
    """What can be done in any open transaction, whoever ends it."""

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        ...

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due; tells whether there was something."""
        ...

    async def db(self) -> AsyncConnection:
        """The same transaction as SQLAlchemy sees it; the caller's own `commit` raises where the kit commits."""
        ...


class WriteTransaction(OpenTransaction, Protocol):
    """One open write transaction. Left without an error it commits, otherwise it rolls back."""

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows that exist of these runs, locked until the end of the transaction.

        Owner and boot are blank where that owner's lease is over (RULES 5.2).
        """
        ...

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        ...

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset; False: another reader moved it (RULES 7.1)."""
        ...


class KitTransaction(Protocol):
    """One open write transaction of the kit's own: it waits for nobody longer than a batch may."""

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows that exist of these runs, locked. `RowLocked` where another transaction holds one.

        Owner and boot are blank where that owner's lease is over (RULES 5.2).
        """
        ...

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order. `RowLocked` where another transaction holds an inbox row."""
        ...


class Joined(OpenTransaction, Protocol):
    """The kit's part of a transaction that an application owns: the application commits or rolls back.

    What is written has no owner, so that the relay claims it once it is committed, and only then.
    """

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that this transaction sees."""
        ...

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` when the application commits, perhaps a moment before the rows can be seen."""
        ...


class StoreClock(Protocol):
    """The clock by which a store decides (RULES 11.1), and what is kept of it.

    `shared`: a server has it, for all replicas, and the clocks of the processes follow it. `horizon` is how far the
    inbox has forgotten, in seconds since 1970, as `time` and `move_horizon` last saw it.
    """

    shared: bool
    horizon: float

    async def time(self) -> StoreTime:
        """The store's clock and the horizon (RULES 11.1, 2.7)."""
        ...

    async def put_right(self) -> int:
        """RULES 11.2: what was given for some seconds and is due later than these is due these seconds from now.

        Returns how many rows a clock that was ahead had put too far away.
        """
        ...

    async def follow(self, seconds: float, adopt: Callable[[float], None]) -> None:
        """Correct the clock of this process, by `adopt(seconds)`; where rows wait by it, they move with it first."""
        ...

    async def swept_within(self, seconds: float) -> bool:
        """Whether a sweep ended in the last so many seconds, by the store's clock."""
        ...

    async def sweep_ended(self) -> None:
        """Note that a sweep has ended now."""
        ...

    async def move_horizon(self, keep: float, most: float) -> float:
        """Move the horizon towards `keep` seconds ago, by at most `most` seconds and never back; where it is then.

        Where there is none yet, it begins `keep` seconds ago.
        """
        ...


#: What a change of a breaker leaves behind, by the row before and after; None: nothing.
Announce = Callable[[BreakerRow, BreakerRow], Ending | None]


class StoreBreakers(Protocol):
    """The rows of the breakers, which all replicas share (RULES 6.3)."""

    def news(self) -> tuple[int, float]:
        """The sum of the rows' versions as the store last told it, and when (monotonic seconds).

        It rides in the answers of `Store.commit` and `Store.renew`; whoever saw another sum reads its row again.
        """
        ...

    async def decide(self, name: str, decide: Decide, announce: Announce) -> tuple[Sight, tuple[OutboxRow, ...]]:
        """Change one row by a pure decision on what it is at that moment; a row that does not exist yet is made.

        Where another replica is first, it is decided again on what that left. What `announce` makes of a change of the
        version is written with it, whole or not at all, and its outbox rows are returned. `StoreError`: nothing is
        known of it.
        """
        ...

    async def all(self) -> list[Sight]:
        """Every row, by name."""
        ...

    async def living(self) -> Sequence[str]:
        """The processes of this service whose lease lasts."""
        ...


class Store(Protocol):
    """A service's database."""

    @property
    def breakers(self) -> StoreBreakers:
        """The rows of the breakers."""
        ...

    @property
    def clock(self) -> StoreClock:
        """The clock by which it decides."""
        ...

    @property
    def timers(self) -> TimerStore:
        """Its time-outs."""
        ...

    @property
    def subjects(self) -> SubjectStore:
        """The latest values and the marks of subjects."""
        ...

    @property
    def replicas(self) -> bool:
        """Whether several processes of one service may work on it at once."""
        ...

    async def open(self, tables: MetaData | None = None) -> None:
        """Open, make the kit's tables and `tables` where absent. `ConfigError` where locked, full or not writable.

        `StoreError` where a server is away: it may be opened again.
        """
        ...

    async def close(self) -> None:
        """Finish open transactions and close; later calls raise `StoreError`."""
        ...

    def transaction(self, lease: float | None = None) -> AbstractAsyncContextManager[WriteTransaction]:
        """A write transaction of at most `lease` seconds (None: `HOCKET_TRANSACTION_SECONDS`).

        Where the database has one writer, in order of asking.
        """
        ...

    def kit_transaction(self) -> AbstractAsyncContextManager[KitTransaction]:
        """A write transaction that needs no connection of the handlers' (RULES 3.3)."""
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Committed data without the write lease."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Committed data as it is at the first statement, for all statements alike; writing raises (RULES 14.6)."""
        ...

    async def join(self, connection: AsyncConnection) -> Joined:
        """Join the transaction of an application; `HocketError` where `connection` is to another database."""
        ...

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        """Write endings in a transaction of their own, in as few round trips as possible (group commit).

        Without endings it is a small committed write, which fails where the store takes none (RULES 3.2).
        """
        ...

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that exist of these keys, committed state."""
        ...

    async def admit(self, keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str]) -> Admitted:
        """Look inbox and ledger up, and write those rows of `begins` whose run and inbox key are both unknown.

        `begins` are fresh rows of different runs; `runs` are looked up only. All in one round trip or hop, durably.
        `RowLocked` where another transaction holds one of them: nothing was written.
        """
        ...

    async def kept(self, runs: Sequence[str]) -> Mapping[str, Kept]:
        """What is kept of these runs for an undo, committed state."""
        ...

    async def renew(self) -> bool:
        """Extend this process's lease; the worker calls it every `HOCKET_OWNER_RENEW_SECONDS`.

        False: it was over and a new one has begun; others may have taken what was owned. What they took is theirs: a
        row that this process still has in memory may be published twice, and a step run of it is fenced by the ledger.
        """
        ...

    async def take_over(self) -> int:
        """Own the due rows of owners whose lease is over (SQLite: of all others), at start and periodically.

        Returns how many rows the store may hold now that were never handed over: taken over, or left by a commit whose
        outcome was unknown. Unless that is 0 the caller looks through its rows from the start.
        """
        ...

    async def due(self, after: int | None, limit: int) -> list[OutboxRow]:
        """Claim what is due by the store's clock; return this process's own rows with id > `after`, oldest id first.

        Rows that were claimed just now are returned whatever their id; with `after` None only they.
        """
        ...

    async def next_due(self) -> float | None:
        """Seconds until the next row without an owner is due by the store's clock; negative: it is overdue."""
        ...

    async def forget(self, ids: Sequence[int]) -> None:
        """Delete confirmed rows."""
        ...

    async def refuse(self, id: int, reason: str) -> None:
        """Set a row aside that the broker will never accept; it is counted and never sent again (RULES 4.3)."""
        ...

    async def purge(self, before: Before, limit: int) -> Purged:
        """One step of a purge: look at `limit` rows of inbox and ledger, remove those final before the given moments.

        The next call continues after these rows; after the end it begins again. A row that changed meanwhile stays.
        """
        ...

    async def waiting(self) -> Waiting:
        """Counts for readiness, metrics and the bound of RULES 4.6."""
        ...


class CrashableStore(Store, Protocol):
    """A store that can also stop as a killed process does."""

    async def abandon(self) -> None:
        """Roll back what is open, release what is held, wait for nobody."""
        ...


class OutboxView(Protocol):
    """A service's outbox, read from another process."""

    def counts(self) -> list[tuple[str, str, int, float]]:
        """(kind, due | later | refused, how many, oldest due moment)."""
        ...

    def rows(self, limit: int, *, refused: bool = False) -> list[OutboxViewRow]:
        """The first rows: the refused ones, then by the moment they are due."""
        ...

    def retry(self, ids: Sequence[int]) -> int:
        """Let refused rows be published again; how many there were."""
        ...
