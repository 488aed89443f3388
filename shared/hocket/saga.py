"""Steps and their undo (RULES 5), as pure decisions over one ledger row. No store, no clock.

```
            failure first                 F: marked                 F: undo written
 (no row) ---------------> tombstone        begun --+                 done/unsure ----> undoing --> undone
    |                          |              |     | end, unmarked      ^
    | admitted                 | admitted     |     +--> done | void | unsure
    +-------> begun            +--> refused   +--> end, marked: undoing (void stays void)
```
"""

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
