"""The values that a store takes and returns: rows of inbox and outbox, endings of attempts, counts, retention."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from hocket.broker.port import Message
from hocket.broker.topology import RECEIPTS
from hocket.outcome import Attempt
from hocket.saga.ledger import LedgerRow
from hocket.saga.overdue import TimerRow
from hocket.store.renaming import AcrossStep
from hocket.store.subjects.rows import LatestWrite, MarkWrite

#: Most bytes of receipts that wait for each other and leave as one message, some hundred facts.
JOINED_BYTES = 64 * 1024


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
    updated: float = 0.0  # seconds since 1970; to write: the event's `time`, the store takes its clock if that is later


class InboxWrite(NamedTuple):
    """A row to write, and the run that writes it: its attempt and whether it is a replay decide who wins.

    With `owner` it also needs that the step run `run` is begun by the run with this token (RULES 3.3).
    """

    row: InboxRow
    run_attempt: int
    replay: bool = False
    won: bool = False  # this transaction already won the key: write without asking again
    run: str = ""
    owner: str = ""


#: How the boot id of a command begins that works on a store for a moment: it is no replica.
COMMAND_OWNER = "command-"


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
    due: float  # seconds since 1970; given only by `Scheduled(at=)`, else made in the store: its clock + `wait`
    event_id: str = ""
    subject: str = ""  # events of one subject are published in order (RULES 4.2); "" holds nobody
    inbox_key: bytes = b""  # what caused it
    schedule: str = ""  # "TYPE KEY" by which it can be cancelled
    wait: float = 0.0  # seconds from the commit until it is due
    id: int = 0
    joined: tuple[int, ...] = ()  # further rows whose receipts its message carries (RULES 3.4)

    @property
    def later(self) -> bool:
        """Whether it waits, for its `wait` or for its moment; else it is said for now, and nobody asks a clock."""
        return self.wait > 0 or self.moment > 0

    @property
    def moment(self) -> float:
        """What `Scheduled(at=)` gave, in seconds since 1970; 0: it is due `wait` seconds after its commit."""
        return self.due if self.kind is RowKind.SCHEDULED and not self.wait else 0.0

    def due_by(self, now: float) -> float:
        """When it is due if it is written at `now`."""
        return self.moment or now + self.wait

    def stored(self, id: int) -> "OutboxRow":
        """The same row with the id it was given."""
        return self._replace(id=id)

    @property
    def ids(self) -> tuple[int, ...]:
        """The stored rows that a confirm of this message confirms; none where it is not stored."""
        return (self.id, *self.joined) if self.id else ()


class LineChange(StrEnum):
    """What an ending does to the line of its subject (RULES 9.4, 9.5)."""

    NONE = ""  # its token is checked, and nothing else
    HOLD = "hold"  # it is the head and not finished: the line is there from now on
    PARK = "park"  # it goes to the end of the line
    RELEASE = "release"  # where it is the head, it leaves the line, and the next is sent


class OrderedWrite(NamedTuple):
    """What an ending of an ordered subscription needs beside its rows (RULES 9.1, 9.4).

    It loses where `token` is not the subscription's token; to park it loses where its subject has no line, unless
    `behind` names a head that has not ended: then its line begins. `key` is the inbox key of the delivery.
    """

    subscription: str
    token: int
    change: LineChange = LineChange.NONE
    subject: str = ""
    key: bytes = b""
    death: str = ""  # to hold: the death that waits for a person, "" it is tried again
    behind: bytes = b""  # to park: the key of the head that runs
    place: int = 0  # to park: it stands behind all with a lower one
    parked: OutboxRow | None = None  # to park: what is sent when its turn comes


class Ending(NamedTuple):
    """What one attempt leaves behind, written whole or not at all; without `inbox` and `ledger` it always wins.

    `ledger` has at most one row, decided from the row as it was read (RULES 3.1). `receipt` is one JSON object; the
    winners' receipts of one call become one outbox row (RULES 3.4). A time-out's row is written if the one that stands
    there has the version before (0: there is none); else the ending has lost. Such an ending has an `inbox`. Where a
    greater value than that of `latest` was handled, the ending has lost too; `marks` are set where it wins (RULES 15).
    `ordered` is checked first: where that loses, nothing else is looked at.
    """

    inbox: InboxWrite | None = None
    outbox: tuple[OutboxRow, ...] = ()
    ledger: tuple[LedgerRow, ...] = ()
    receipt: bytes = b""
    timers: tuple[TimerRow, ...] = ()
    ordered: OrderedWrite | None = None
    latest: LatestWrite | None = None
    marks: tuple[MarkWrite, ...] = ()

    @property
    def beside(self) -> bool:
        """Whether something beside inbox, outbox, ledger and time-outs is checked or written with it."""
        return self.ordered is not None

    @property
    def about_subject(self) -> bool:
        """Whether rows of its subject are checked and written with it."""
        return self.latest is not None or bool(self.marks)


class Admitted(NamedTuple):
    """What a store knows of deliveries of steps, and what it has begun for them (RULES 5.2)."""

    inbox: Mapping[bytes, InboxRow]
    ledger: Mapping[str, LedgerRow]  # owner and boot are blank where that owner's lease is over
    begun: AbstractSet[str]  # runs that had no row: theirs is written now


def receipt_row(receipts: Sequence[bytes], now: float) -> OutboxRow:
    """The one outbox row that carries the receipts of a commit; a driver adds it to the first winner's rows."""
    body = b"[" + b",".join(receipts) + b"]"
    return OutboxRow(RowKind.RECEIPT, Message(RECEIPTS, "", body, "application/json"), due=now)


def joined_receipts(rows: Sequence[OutboxRow]) -> list[OutboxRow]:
    """The same receipts in as few messages as `JOINED_BYTES` allows; a row that is larger by itself stays alone."""
    messages: list[OutboxRow] = []
    group: list[OutboxRow] = []
    size = 0
    for row in rows:
        size += len(row.message.body)
        if group and size > JOINED_BYTES:
            messages.append(_joined(group))
            group, size = [], len(row.message.body)
        group.append(row)
    return [*messages, _joined(group)] if group else messages


def _joined(rows: Sequence[OutboxRow]) -> OutboxRow:
    """The first row, with the facts of all: each body is a JSON array, as `receipt_row` makes it."""
    first, *others = rows
    if not others:
        return first
    body = b"[" + b",".join(row.message.body[1:-1] for row in rows) + b"]"
    return first._replace(message=first.message._replace(body=body), joined=tuple(row.id for row in others))


class OutboxViewRow(NamedTuple):
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
    commits it again with a later group (RULES 3.3). Only `commit` answers so. `again`: its ledger row is not as it was
    read, and nothing is written: it is to be decided again, by the row as it is under its lock (RULES 3.1).
    """

    won: bool
    outbox: tuple[OutboxRow, ...] = ()
    blocked: bool = False
    news: int | None = None  # of the breakers, in the first answer of a statement, for the store (RULES 6.3)
    again: bool = False


class Waiting(NamedTuple):
    """What stands in the outbox: due and unconfirmed events, receipts, later ones, refused ones, oldest due moment."""

    events: int = 0
    receipts: int = 0
    later: int = 0
    refused: int = 0
    oldest: float = 0.0  # seconds since the oldest due unconfirmed row was due, 0: none


class StoreTime(NamedTuple):
    """The store's clock, in seconds since 1970."""

    now: float
    horizon: float


#: Ledger states of runs that `remember=` keeps: their effect may still be undone.
REMEMBERED = frozenset({"done", "unsure"})


class Before(NamedTuple):
    """The moments before which final rows may be purged, in seconds since 1970.

    `remembered` has an earlier one for done runs of steps that are remembered for longer. Ledger rows with nothing left
    to undo lose input, results and failure already before `emptied` (RULES 5.4). Runs of `across` steps get the names
    by which they are looked for, unless `boot` or another living process works on them (RULES 5.1).
    """

    inbox: float
    dead: float
    ledger: float
    remembered: Mapping[str, float] = MappingProxyType({})
    emptied: float = 0.0
    across: Mapping[str, AcrossStep] = MappingProxyType({})
    boot: str = ""

    def of_run(self, step: str, state: str) -> float:
        """The moment before which a run of this step, in this state, may be purged."""
        return self.remembered.get(step, self.ledger) if state in REMEMBERED else self.ledger


class Purged(NamedTuple):
    """What one step of a purge removed, and whether it has come to the end of the tables.

    `renamed` runs have got their new name; `taken` keep the old one, for another run or a tombstone has the new.
    """

    removed: int
    done: bool
    renamed: int = 0
    taken: int = 0


class Removed(NamedTuple):
    """What a driver removed and renamed in one step of a purge."""

    rows: int = 0
    renamed: int = 0
    taken: int = 0


class Offset(NamedTuple):
    """How far a reader has folded a stream: the next offset wanted, and the token that fences an older reader."""

    next: int = 0
    token: str = ""
