"""What a process believes of the time-outs that it has in hand."""

from datetime import timedelta
from types import SimpleNamespace
from typing import cast

from hocket.delivery.arrival import Arrival
from hocket.delivery.overdue.hands import TimerHands
from hocket.delivery.overdue.work import TimerWork
from hocket.outcome import Again, Done
from hocket.saga.overdue import TimerRow, TimerState

ROW = TimerRow(b"r" * 20, "flow", "shop.unpaid", "[1]", TimerState.ARMED, 1, version=1)


def test_what_was_not_written_is_not_believed() -> None:
    """RULES 5.7: an arming that could not be written is tried again, and nothing of it stands in the row meanwhile."""
    hands, work = TimerHands(), TimerWork(ROW.run, ROW.scope, arms=True, answers=False)
    arming = SimpleNamespace(timer=work, alarm=None, outcome=Done())
    hands.enter([cast("Arrival", arming)])
    work.wrote = ROW  # as it was decided; then it could not be written
    arming.outcome = Again(timedelta(seconds=1))
    hands.committed([cast("Arrival", arming)])
    assert work.slot.row is None
    arming.outcome = Done()
    hands.committed([cast("Arrival", arming)])
    assert work.slot.row == ROW
