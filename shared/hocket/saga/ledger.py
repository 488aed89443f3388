"""The ledger's row for one step run, its states, and the order to undo it (RULES 5.2)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class LedgerState(StrEnum):
    """State of a step run (RULES 5.2)."""

    TOMBSTONE = "tombstone"
    BEGUN = "begun"
    DONE = "done"
    VOID = "void"
    UNSURE = "unsure"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"


class Kept(NamedTuple):
    """What an undo of the run needs: an envelope, as each of the results is; structured JSON."""

    input: bytes = b""
    results: tuple[bytes, ...] = ()


class LedgerRow(NamedTuple):
    """One step run, kept until its flow can no longer fail (RULES 5.4).

    `version` is that of the row as it was read, 0 where there was none: what is written is won only where the row still
    has it, and has one more then (RULES 3.1).
    """

    run: str  # `envelope.keys.run_key(correlation_id, step, scope)`
    correlation_id: str
    step: str  # subscription of the step, `payments.charge`
    scope: str
    state: LedgerState
    owner: str = ""  # token of the run that is being handled; "": none
    boot: str = ""  # boot id of the owner's process
    inbox_key: bytes = b""  # of the input
    failure: bytes = b""  # the failure that the row is marked with: an envelope
    generation: int = 0  # number of undos ordered so far
    kept: int = 0  # id of the row that keeps input and results; 0: none
    version: int = 0
    updated: float = 0.0
    keeps: Kept | None = None  # what is to be kept from this write on; it is not read back with the row


@dataclass(frozen=True, slots=True)
class UndoOrder:
    """An order to write the `generation`-th undo of a run, for the failure `why` (an envelope).

    It belongs to the flow of the step, `correlation_id`, in whatever flow the failure was said (RULES 5.3).
    """

    run: str
    generation: int
    why: bytes
    correlation_id: str
