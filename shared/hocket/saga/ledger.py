"""The ledger's row for one step run, its states, and the order to undo it (RULES 5.2)."""

from dataclasses import dataclass
from enum import StrEnum


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


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """One step run, kept until its flow can no longer fail (RULES 5.4)."""

    run: str  # `envelope.keys.run_key(correlation_id, step, scope)`
    correlation_id: str
    step: str  # subscription of the step, `payments.charge`
    scope: str
    state: LedgerState
    owner: str = ""  # token of the run that is being handled; "": none
    boot: str = ""  # boot id of the owner's process
    inbox_key: bytes = b""  # of the input
    step_key: str = ""  # the step's key for outside calls
    input: bytes = b""  # an envelope, as `results` and `failure`: structured JSON
    results: tuple[bytes, ...] = ()
    failure: bytes = b""  # the failure that the row is marked with
    generation: int = 0  # number of undos ordered so far
    updated: float = 0.0


@dataclass(frozen=True, slots=True)
class UndoOrder:
    """An order to write the `generation`-th undo of a run, for the failure `why` (an envelope).

    It belongs to the flow of the step, `correlation_id`, in whatever flow the failure was said (RULES 5.3).
    """

    run: str
    generation: int
    why: bytes
    correlation_id: str
