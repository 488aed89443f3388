"""Steps and their compensation (RULES 5): pure decisions about one ledger row, without a store or a clock.

Imports nothing of the kit. Used by `store/`, which keeps the rows, by `delivery/`, which decides before it commits, by
`outbox/`, which builds the rows of undo orders, and by whatever tells people what has failed: tracer, desk, metrics.
"""

from hocket.saga.decisions import (
    Begun,
    Conflict,
    Ended,
    Failed,
    Obsolete,
    Refused,
    Wait,
    begin,
    end,
    fail,
    owns,
    release,
    undone,
)
from hocket.saga.ledger import Kept, LedgerRow, LedgerState, UndoOrder
from hocket.saga.standing import Standing, UndoStand, has_failed, standing

__all__ = [
    "Begun",
    "Conflict",
    "Ended",
    "Failed",
    "Kept",
    "LedgerRow",
    "LedgerState",
    "Obsolete",
    "Refused",
    "Standing",
    "UndoOrder",
    "UndoStand",
    "Wait",
    "begin",
    "end",
    "fail",
    "has_failed",
    "owns",
    "release",
    "standing",
    "undone",
]
