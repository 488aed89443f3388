"""One breaker as its row in the database says it, what a decision sees of it, and the interface of their store.

Everything that a decision needs stands in the row, the slots too: so that whoever writes can compare the row with the
one it decided by, and two replicas never get the same slot (RULES 6.3).
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

State = Literal["closed", "half-open", "open", "held"]

CLOSED: State = "closed"
HALF: State = "half-open"
OPEN: State = "open"
HELD: State = "held"
#: States in which a breaker lets no call pass.
SHUT: frozenset[str] = frozenset({OPEN, HELD})


class Slot(NamedTuple):
    """Leave for one call while the breaker is not closed."""

    until: float  # seconds since 1970, by the store's clock: the call was cut by then
    version: int  # of the row that granted it: its verdict counts for no other


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Leave for one outside call. It is returned once, to `ended`."""

    version: int
    slot: str  # "": it began while the breaker was closed
    epoch: int  # pauses of the process before it
    lent: bool  # it counts among the calls at once


class BreakerRow(NamedTuple):
    """The row of one breaker, in the order of the columns; moments are seconds since 1970 by the store's clock."""

    name: str
    state: State = CLOSED
    version: int = 0  # one more at each change of the state or of the ramp's step
    until: float = 0.0  # open, held: end of the period (held, 0: until a person closes); closed: end of the window
    wait: float = 0.0  # the seconds that made `until`
    level: int = 0  # openings soon after a close, in a row: each doubles the period
    step: int = 0  # of the ramp
    ok: int = 0  # verdicts of this step
    bad: int = 0  # verdicts of this step; closed: failures of the window
    calls: int = 0  # closed: calls of the window
    streak: int = 0  # closed: failures in a row
    slots: str = "{}"  # JSON: id of the slot: [until, version]; the id begins with its owner's boot id
    failed_at: float = 0.0  # when the last failure of the streak was told
    reason: str = ""  # of the last change
    by: str = ""  # the person who made it, "" none
    updated: float = 0.0  # when the state last changed

    def granted(self) -> dict[str, Slot]:
        """The slots that were granted and not given back."""
        return {name: Slot(*slot) for name, slot in json.loads(self.slots).items()}

    def with_slots(self, slots: Mapping[str, Slot]) -> "BreakerRow":
        """The same row with these slots."""
        return self._replace(slots=json.dumps(dict(sorted(slots.items())), separators=(",", ":")))


class Sight(NamedTuple):
    """What a decision sees: the row, the store's clock, and the owners whose lease runs."""

    row: BreakerRow
    now: float
    living: Sequence[str] = ()

    def remaining(self) -> float:
        """Seconds until the period is over; 0: it is over, or the breaker is closed."""
        row = self.row
        if row.state == HELD and not row.until:
            return float("inf")
        return max(0.0, row.until - self.now) if row.state in SHUT else 0.0


#: A decision: the row as it should be, or the same row.
Decide = Callable[[Sight], BreakerRow]


class BreakerRows(Protocol):
    """The rows of all breakers: their store, and who announces their changes."""

    boot: str
    least: float  # seconds: no open period is shorter
    believed: float  # seconds for which a view may be old; infinite where one process decides

    def news(self) -> tuple[int, float]:
        """The sum of the versions as the store last told it, and when (monotonic seconds)."""
        ...

    async def decide(self, name: str, decide: Decide) -> Sight:
        """Change one row by a decision; what it is then. `StoreError`: nothing is known."""
        ...
