"""Which time-outs this process has something in hand for; keeps an alarm back meanwhile (RULES 5.7 d).

Answers are decided at their commit, a station later than the alarm, which would overtake an answer that stood before
it in the queue.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from hocket.delivery.arrival import Arrival
from hocket.delivery.overdue.work import Slot
from hocket.outcome import Done


@dataclass(slots=True)
class TimerHands:
    """The time-outs of one subscription that deliveries in progress are about."""

    _slots: dict[bytes, Slot] = field(default_factory=dict)
    _parked: dict[bytes, list[Arrival]] = field(default_factory=dict)

    def enter(self, arrivals: Iterable[Arrival]) -> list[Arrival]:
        """Take these in hand, in the order of the queue; those that may go on: an alarm may have to wait."""
        going: list[Arrival] = []
        for each in arrivals:
            if each.timer is not None:
                slot = each.timer.slot = self._slots.setdefault(each.timer.run, each.timer.slot)
                slot.held += 1
            elif each.alarm is not None and each.alarm.run in self._slots:
                self._parked.setdefault(each.alarm.run, []).append(each)
                continue
            going.append(each)
        return going

    def committed(self, arrivals: Iterable[Arrival]) -> None:
        """What these have written is what the row is now; one that ended otherwise has written none."""
        for each in arrivals:
            if each.timer is not None and each.timer.wrote is not None and isinstance(each.outcome, Done):
                each.timer.slot.row = each.timer.wrote

    def lost(self, arrival: Arrival) -> None:
        """Its row may have changed meanwhile: it is read again."""
        if arrival.timer is not None:
            arrival.timer.slot.row = None

    def leave(self, arrival: Arrival) -> list[Arrival]:
        """It is in hand no longer; the alarms that waited for the last one about their time-out."""
        if arrival.timer is None:
            return []
        slot = arrival.timer.slot
        slot.held -= 1
        if slot.held > 0:
            return []
        self._slots.pop(arrival.timer.run, None)
        return self._parked.pop(arrival.timer.run, [])
