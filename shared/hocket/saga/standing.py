"""When a flow has failed, and what of it needs a person: a zombie or an open letter (RULES 5.8). Pure.

The tracer, the desk, the metrics and `play` all decide by these two functions, so that the words mean the same wherever
they stand.
"""

from enum import StrEnum

from hocket.saga.ledger import LedgerState


class Standing(StrEnum):
    """What a step run or a dead letter asks of a person."""

    NONE = ""
    OPEN_LETTER = "open letter"  # somebody's work: a delivery was given up, and no failure follows
    ZOMBIE = "zombie"  # an effect stands that a failure must not leave, and nothing is about to undo it


class UndoStand(StrEnum):
    """Where the undo of a step run stands."""

    NONE = "none"  # nothing was ordered, or it was handled, or a person has settled it
    OPEN = "open"  # ordered, and within its whole retry budget
    LATE = "late"  # open for longer than its whole retry budget
    DEAD = "dead"  # given up: its letter waits for a person


#: States of a run whose effect has happened, or may have.
_TOOK_EFFECT = frozenset({LedgerState.DONE, LedgerState.UNSURE})
#: States into which a run comes only by a failure, or by what its own `on_dead` said.
_FAILED = frozenset({LedgerState.REFUSED, LedgerState.UNDOING, LedgerState.UNDONE})


def has_failed(run: LedgerState, *, reached: bool) -> bool:
    """Whether the flow of this run has failed: a failure reached the run, or `on_dead` spoke for it."""
    return reached or run in _FAILED


def standing(
    run: LedgerState | None, *, reached: bool = False, undo: UndoStand = UndoStand.NONE, letter: bool = False
) -> Standing:
    """What a run asks of a person; None for a delivery that is no step's.

    `reached`: a failure has come to it. `letter`: its own delivery was given up, and neither its `on_dead` nor a person
    has said what follows.
    """
    stands = run is LedgerState.UNDOING or (run in _TOOK_EFFECT and reached)
    if stands and undo in {UndoStand.DEAD, UndoStand.LATE}:
        return Standing.ZOMBIE
    return Standing.OPEN_LETTER if letter else Standing.NONE
