"""The row of a step run in the ledger, its states, and the order to undo it (RULES 5.2)."""

from dataclasses import dataclass
from enum import StrEnum


class LedgerState(StrEnum):
    """Where a step run stands (RULES 5.2)."""

    TOMBSTONE = "tombstone"
    BEGUN = "begun"
    DONE = "done"
    VOID = "void"
    UNSURE = "unsure"
    REFUSED = "refused"
    UNDOING = "undoing"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One step run, kept until its flow can no longer fail (RULES 5.4)."""

    run: str  # ids.run_key(correlation_id, step, scope)
    correlation_id: str
    step: str  # subscription of the step, `payments.charge`
    scope: str
    state: LedgerState
    owner: str = ""  # token of the run at work, "" none
    boot: str = ""  # boot id of the process of that owner
    inbox_key: bytes = b""  # of the input
    step_key: str = ""  # the key the step had outside
    input: bytes = b""  # envelopes, structured JSON
    results: tuple[bytes, ...] = ()
    failure: bytes = b""  # the marked failure
    generation: int = 0  # undos started
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class UndoOrder:
    """The n-th undo of a run is to be written, for the failure `why` (an envelope)."""

    run: str
    generation: int
    why: bytes
