"""What is left of a wait, and what becomes of a value."""

import pytest

from hocket.delivery.staleness.work import MOST_AHEAD, Verdict, judge_value, left_of
from hocket.store.records import InboxRow, InboxState
from hocket.store.subjects.rows import Latest

ROW = InboxRow(b"key", "shelf.send", "id", InboxState.RETRY, 0, updated=1000.0)


@pytest.mark.parametrize(
    ("row", "now", "left"),
    [
        (None, 1000.0, 60.0),
        (ROW, 1000.0, 60.0),
        (ROW, 1045.0, 15.0),
        (ROW, 1060.0, 0.0),
        (ROW, 5000.0, 0.0),
        (ROW._replace(updated=9000.0), 1000.0, 60.0),  # its event's time lies ahead
        (ROW._replace(state=InboxState.DEAD), 5000.0, 60.0),  # a replay waits as a first arrival does
    ],
)
def test_what_is_left_of_a_wait(row: InboxRow | None, now: float, left: float) -> None:
    """RULES 15.4: it counts from what was written first, is never more than the bound, and ends."""
    assert left_of(60.0, row, now) == left


@pytest.mark.parametrize(
    ("value", "known", "moment", "verdict"),
    [
        (b"5", None, 0.0, Verdict.RUN),
        (b"5", Latest("v", b"5"), 0.0, Verdict.RUN),
        (b"4", Latest("v", b"5"), 0.0, Verdict.STALE),
        (b"4", Latest("w", b"5"), 0.0, Verdict.RUN),
        (b"6", Latest("v", b"5"), 1000.0 + MOST_AHEAD, Verdict.RUN),
        (b"6", Latest("v", b"5"), 1000.1 + MOST_AHEAD, Verdict.AHEAD),
        (b"4", Latest("v", b"5"), 2000.0, Verdict.STALE),
    ],
)
def test_what_becomes_of_a_value(value: bytes, known: Latest | None, moment: float, verdict: Verdict) -> None:
    """RULES 15.1, 15.2: less than the greatest is stale, equal runs, too far ahead runs and is kept out."""
    assert judge_value(Latest("v", value), known, moment, 1000.0) is verdict
