"""What an ordered subscription knows of one delivery: its subject, its place, the token, and where it may go. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from hocket.outcome import Bury
from hocket.store.ordering.lines import Line
from hocket.store.records import InboxRow, InboxState

#: Of what cannot be read as an event of the subscription, what a person can mend and replay: it blocks (RULES 9.8).
MENDABLE = frozenset({"version", "invalid", "drift"})
#: The cause of what is deferred because it stands in a line now.
PARKED = "line"
#: The header by which the desk lets a dead head go: the id of its death (docs/wire.md#headers).
DISCARD = "hocket-discard"
#: The header of what comes again and was history when it came first (RULES 7.5 c).
HISTORY = "hocket-history"


class Seat(StrEnum):
    """Where a delivery goes when its turn has come."""

    RUNS = "runs"  # first of its subject, and the head of its line where there is one
    BESIDE = "beside"  # it was let go before: out of its place, it makes no line and leaves none
    PARKS = "parks"  # to the end of the line
    LETS_GO = "lets go"  # the desk's word on the dead head
    NOTHING = "nothing"  # the desk's word on what is no dead head any more


@dataclass(slots=True)
class Turn:
    """One delivery of an ordered subscription; `place` grows in the order in which the broker gave them."""

    subscription: str  # its identity
    token: int
    subject: str
    place: int
    skip: bool
    lined: Callable[[], bool]  # whether its subject may have a line
    waiting: Callable[[], int]  # how many of its subject wait behind it
    discard: str = ""  # of the desk's word: the death that is let go
    preset: Bury | None = None  # how it ends when its turn has come
    seat: Seat = Seat.RUNS
    behind: bytes = b""  # to park: the head that runs
    admit: bool = False  # it is to be looked up in the inbox again
    alone: bool = False  # of a projection: it has a transaction of its own
    parked: int = 0  # how many stand in the line behind it, when its turn came

    @property
    def behind_it(self) -> int:
        """How many of its subject wait behind it."""
        return self.parked + self.waiting()

    def blocks(self, bury: Bury, spoke: bool) -> bool:
        """Whether its subject waits for a person where it ends so (RULES 9.6 to 9.8)."""
        return bury.row and not spoke and not self.skip and bool(self.subject) and self.seat is Seat.RUNS


def seat_of(row: InboxRow | None, key: bytes, line: Line | None, discard: str = "") -> Seat:
    """Where a delivery goes that is the first of its subject here; `line` is the subject's line in the store.

    What died before and is in no line was let go, by `skip` or by the desk: its replay runs out of place.
    """
    heads = line is not None and line.head == key
    if discard:
        return Seat.LETS_GO if heads and line is not None and line.death == discard else Seat.NOTHING
    if heads:
        return Seat.RUNS
    if row is not None and (row.state is InboxState.DEAD or row.base > 0):
        return Seat.BESIDE
    return Seat.RUNS if line is None else Seat.PARKS
