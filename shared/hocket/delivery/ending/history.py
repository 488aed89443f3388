"""The attempts that are stored with an inbox row and sent with a letter (RULES 1.6)."""

from dataclasses import replace

from hocket.clock import rfc3339
from hocket.delivery.arrival import Arrival
from hocket.delivery.ending.receipt import word_of
from hocket.delivery.poison import CRASH
from hocket.delivery.poison import ended as without_starts
from hocket.outcome import Again, Attempt, Bury, Done
from hocket.store.records import InboxRow

#: Attempts kept in an inbox row, and how many of them keep their stack.
HISTORY_ATTEMPTS = 20
HISTORY_TRACES = 3


def history_of(arrival: Arrival) -> tuple[Attempt, ...]:
    """The attempts up to this one, the last of them with their stacks; starts only where they are the cause.

    A delivery that was handled at its first attempt has no history: its receipt reports that attempt.
    """
    if arrival.row is None and isinstance(arrival.outcome, Done):
        return ()
    this = (attempt_of(arrival),) if arrival.outcome is not None else ()
    if arrival.row is None or not arrival.row.history:
        return this
    earlier = arrival.row.history
    if not (isinstance(arrival.outcome, Bury) and arrival.outcome.cause == CRASH):
        earlier = without_starts(earlier)
    kept = [*earlier, *this][-HISTORY_ATTEMPTS:]
    cut = len(kept) - HISTORY_TRACES
    return tuple(replace(each, trace="") if at < cut and each.trace else each for at, each in enumerate(kept))


def probes_of(row: InboxRow | None) -> int:
    """Failed probes of this delivery that have used no attempt (RULES 6.1)."""
    return row.history[-1].probes if row is not None and row.history else 0


def attempt_of(arrival: Arrival) -> Attempt:
    """This attempt as it is stored: when it began and ended, how, and why."""
    outcome = arrival.outcome
    assert outcome is not None
    return Attempt(
        arrival.attempt,
        rfc3339(arrival.began),
        rfc3339(arrival.ended),
        str(word_of(outcome) or ""),
        getattr(outcome, "cause", ""),
        getattr(outcome, "error", ""),
        getattr(outcome, "trace", ""),
        max(outcome.probes, probes_of(arrival.row)) if isinstance(outcome, Again) else 0,
    )
