"""The port to a service's own database: inbox, outbox, step ledger and stream offsets in *one* transaction.

Promises every driver keeps (the contract suite is `hocket.testing.store_contract`):

- `commit` and everything written in one `transaction` happen whole or not at all, durably.
- `Tx.write` lets an ending win or lose by its inbox row (RULES 3.1), keys in sorted order: insert, or update where the
  row is not final and its attempt is lower than the run's, or where it is dead, the run is a replay and the row's
  attempt is lower than the run's. Of a loser nothing is written. Endings with the same key in one call: the first wins.
- A transaction holds the write lease at most `lease` seconds; then it is rolled back, fenced, and each further call
  and its exit raise `LeaseExpired`.
- `StoreError` means nothing was written *or the outcome is unknown*; the caller looks the keys up again (RULES 3.2).
- Rows due at their insertion belong to this process (`owner`); what is due later has no owner until `due` claims it.
- A process is an owner by one lease, which `renew` extends; when it is over, others take over all it owned (RULES 4.1).
  A driver that serves one process only raises `ConfigError` when another one holds its database (SQLite).
- The tables are versioned and led on at `open`, by one process at a time (RULES 10.3).
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple, Protocol

from sqlalchemy import MetaData
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.broker.port import Message
from hocket.broker.topology import RECEIPTS
from hocket.outcome import Attempt
from hocket.saga.decisions import LedgerRow

#: Seconds a handler's transaction may hold the write lease.
LEASE_SECONDS = 10.0
#: Seconds for which an owner's lease is given, and after which the worker renews it.
OWNER_LEASE_SECONDS = 15.0
OWNER_RENEW_SECONDS = 5.0


class InboxState(StrEnum):
    """What the inbox knows of a delivery; all but RETRY are final (RULES 3.5)."""

    RETRY = "retry"
    HANDLED = "handled"
    DEAD = "dead"
    REFUSED = "refused"


class InboxRow(NamedTuple):
    """One received event of one subscription and how it ended."""

    key: bytes
    subscription: str
    event_id: str
    state: InboxState
    attempt: int  # last attempt recorded
    base: int = 0  # attempt of the last death: attempts used = attempt - base (RULES 8.4)
    version: int = 1  # of the dataschema
    data_hash: bytes = b""
    revision: int = 0
    correlation_id: str = ""
    said: tuple[str, ...] = ()  # ids of the events said
    death_id: str = ""
    spoke: bool = False  # on_dead has said something (RULES 5.5)
    history: tuple[Attempt, ...] = ()
    updated: float = 0.0  # seconds since 1970


class InboxWrite(NamedTuple):
    """A row to write, and the run that writes it: its attempt and whether it is a replay decide who wins."""

    row: InboxRow
    run_attempt: int
    replay: bool = False
    won: bool = False  # this transaction already won the key: write without asking again


class RowKind(StrEnum):
    """Why a row stands in the outbox."""

    EVENT = "event"  # said
    SCHEDULED = "scheduled"  # said for later
    SELF = "self"  # a retry or an undo, to the service itself
    LETTER = "letter"  # a dead letter
    RECEIPT = "receipt"  # receipts, manifests, heartbeats


class OutboxRow(NamedTuple):
    """One message to publish once it is due; `id` is 0 until it is stored, then grows in order of commit."""

    kind: RowKind
    message: Message
    due: float  # seconds since 1970
    event_id: str = ""
    subject: str = ""  # events of one subject are published in order (RULES 4.2); "" holds nobody
    inbox_key: bytes = b""  # what caused it
    schedule: str = ""  # "TYPE KEY" by which it can be cancelled
    id: int = 0

    def stored(self, id: int) -> "OutboxRow":
        """The same row with the id it was given."""
        return OutboxRow(*self[:-1], id)


class Ending(NamedTuple):
    """What one attempt leaves behind, written whole or not at all; without `inbox` it always wins.

    `receipt` is one JSON object; the winners' receipts of one call become one outbox row (RULES 3.4).
    """

    inbox: InboxWrite | None = None
    outbox: tuple[OutboxRow, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    receipt: bytes = b""


def receipt_row(receipts: Sequence[bytes], now: float) -> OutboxRow:
    """The one outbox row that carries the receipts of a commit; a driver adds it to the first winner's rows."""
    body = b"[" + b",".join(receipts) + b"]"
    return OutboxRow(RowKind.RECEIPT, Message(RECEIPTS, "", body, "application/json"), due=now)


class Kept(NamedTuple):
    """A row as it stands in an outbox, for people who look at it from outside the process."""

    id: int
    kind: RowKind
    due: float  # seconds since 1970
    owner: str  # boot id of the process that publishes it, "" none
    reason: str  # of the broker, where it refused it
    refused: bool
    event_id: str
    subject: str
    exchange: str
    routing_key: str
    size: int  # of the body, in bytes


class Written(NamedTuple):
    """What became of one ending: whether it won, and its outbox rows with their ids (the receipts' row included).

    `blocked`: another open transaction holds its key, so that nothing is decided and nothing written; whoever asked
    commits it again apart, a little later (RULES 3.3). Only `commit` answers so.
    """

    won: bool
    outbox: tuple[OutboxRow, ...] = ()
    blocked: bool = False


class Waiting(NamedTuple):
    """What stands in the outbox: due and unconfirmed events, receipts, later ones, refused ones, oldest due moment."""

    events: int = 0
    receipts: int = 0
    later: int = 0
    refused: int = 0
    oldest: float = 0.0  # seconds since 1970 of the oldest due unconfirmed row, 0: none


@dataclass(frozen=True, slots=True)
class Retention:
    """How long a service remembers what is final (RULES 2.7); what is not final is never forgotten."""

    inbox: timedelta = timedelta(days=30)  # what was handled or refused
    dead: timedelta = timedelta(days=365)  # what died: as long as its letter may be replayed
    ledger: timedelta = timedelta(days=30)  # step runs and tombstones


class Before(NamedTuple):
    """The moments before which final rows may be purged, in seconds since 1970."""

    inbox: float
    dead: float
    ledger: float


class Purged(NamedTuple):
    """What one step of a purge removed, and whether it has come to the end of its walk."""

    removed: int
    done: bool


class Offset(NamedTuple):
    """How far a reader has folded a stream: the next offset wanted, and the token that fences an older reader."""

    next: int = 0
    token: str = ""


class Tx(Protocol):
    """One open write transaction. Left without an error it commits, otherwise it rolls back."""

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        """Write the endings; one answer each, in order."""
        ...

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow]:
        """The ledger rows of these runs, locked until the end of the transaction, those that do not exist too.

        Owner and boot are blank where that owner's lease is over (RULES 5.2).
        """
        ...

    async def cancel(self, schedule: str) -> bool:
        """Delete what was scheduled under this name and is not yet due; tells whether there was something."""
        ...

    async def offset(self, reader: str) -> Offset:
        """Where this reader stands."""
        ...

    async def advance(self, reader: str, seen: Offset, to: Offset) -> bool:
        """Compare-and-set of a reader's offset; False: another reader moved it (RULES 7.1)."""
        ...

    async def db(self) -> AsyncConnection:
        """The same transaction as SQLAlchemy sees it; its own `commit` raises."""
        ...


class Joined(Tx, Protocol):
    """The kit's part of a transaction that an application owns: it commits or rolls back, not we.

    What is written has no owner, so that the relay claims it once it is committed, and only then.
    """

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that this transaction sees."""
        ...

    def on_commit(self, call: Callable[[], None]) -> None:
        """Run `call` when the application commits, perhaps a moment before the rows can be seen."""
        ...


class Store(Protocol):
    """A service's database."""

    async def open(self, tables: MetaData | None = None) -> None:
        """Open, make the kit's tables and `tables` where absent. `ConfigError` where locked, full or not writable.

        `StoreError` where a server is away: it may be opened again.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and close; later calls raise `StoreError`."""
        ...

    def transaction(self, lease: float = LEASE_SECONDS) -> AbstractAsyncContextManager[Tx]:
        """A write transaction; where the database has one writer, in order of asking."""
        ...

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Committed data without the write lease."""
        ...

    async def join(self, connection: AsyncConnection) -> Joined:
        """Join the transaction of an application; `HocketError` where `connection` is to another database."""
        ...

    async def commit(self, endings: Sequence[Ending]) -> list[Written]:
        """Write endings in a transaction of their own, by the shortest road (group commit)."""
        ...

    async def inbox(self, keys: Sequence[bytes]) -> Mapping[bytes, InboxRow]:
        """The inbox rows that exist of these keys, committed state."""
        ...

    async def renew(self) -> bool:
        """Extend this process's lease; the worker calls it every `OWNER_RENEW_SECONDS`.

        False: it was over and a new one has begun; others may have taken what was owned. What they took is theirs: a
        row that this process still has in hand may be published twice, and a step run of it is fenced by the ledger.
        """
        ...

    async def take_over(self) -> int:
        """Own the due rows of owners whose lease is over (SQLite: of all others), at start and periodically.

        Returns how many rows the store may hold now that were never handed over: taken over, or left by a commit whose
        outcome was unknown. Unless that is 0 the caller looks through its rows from the start.
        """
        ...

    async def due(self, now: float, after: int, limit: int) -> list[OutboxRow]:
        """Claim what has become due and return this process's own due rows with id > `after`, oldest id first.

        Rows that were claimed just now are returned whatever their id.
        """
        ...

    async def next_due(self) -> float | None:
        """When the next row without an owner becomes due, in seconds since 1970."""
        ...

    async def forget(self, ids: Sequence[int]) -> None:
        """Delete confirmed rows."""
        ...

    async def refuse(self, id: int, reason: str) -> None:
        """Set a row aside that the broker refuses by its nature; it is counted and never sent again (RULES 4.3)."""
        ...

    async def purge(self, before: Before, limit: int) -> Purged:
        """One step of a walk through inbox and ledger: look at `limit` rows of each, remove the final ones before.

        The next call goes on behind; after the end it begins anew. A row that changed meanwhile stays.
        """
        ...

    async def waiting(self) -> Waiting:
        """Counts for readiness, metrics and the bound of RULES 4.6."""
        ...
