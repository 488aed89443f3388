"""Whose turn it is in each subject: one run at a time, the others in order of their places (RULES 9.3). Pure."""

from bisect import insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hocket.declarations.ordering.option import WINDOW
from hocket.delivery.arrival import Arrival
from hocket.delivery.ordering.turn import Seat, Turn
from hocket.store.ordering.lines import Line
from hocket.store.records import OutboxRow, RowKind

#: Deliveries that wait behind one running head before they are parked: a quarter of the window (RULES 9.9).
CROWD = WINDOW // 4
#: Behind every place.
_END = float("inf")


def turn_of(arrival: Arrival) -> Turn:
    """The turn of a delivery that has one."""
    assert arrival.order is not None, "it came by a queue of before the switch"
    return arrival.order


def place_of(arrival: Arrival) -> int:
    """The place of a delivery in the order of the broker."""
    return turn_of(arrival).place


@dataclass(slots=True)
class Subject:
    """The deliveries of one subject that are in hand."""

    running: Arrival | None = None  # or ending
    parking: dict[int, Arrival] = field(default_factory=dict)  # those whose parking is being committed, by place
    folding: dict[int, Arrival] = field(default_factory=dict)  # those that are folded in batches, by place, in order
    waiting: list[Arrival] = field(default_factory=list)  # in order
    asked: bool = False  # the store is asked for its line

    @property
    def busy(self) -> bool:
        """Whether the next has to wait."""
        return self.running is not None or bool(self.parking) or self.asked

    @property
    def idle(self) -> bool:
        """Whether nothing of it is in hand."""
        return not self.busy and not self.waiting and not self.folding


@dataclass(slots=True)
class Turns:
    """The subjects of one subscription of which something is in hand."""

    subjects: dict[str, Subject] = field(default_factory=dict)
    heads: dict[str, Line] = field(default_factory=dict)  # what own commits have released, until its turn comes

    def enter(self, subject: str, arrival: Arrival) -> Subject:
        """It waits for its turn."""
        known = self.subjects.get(subject)
        if known is None:
            known = self.subjects[subject] = Subject()
        if not known.waiting or place_of(known.waiting[-1]) < place_of(arrival):
            known.waiting.append(arrival)
        else:  # it was here before, and is looked at again
            insort(known.waiting, arrival, key=place_of)
        return known

    def leave(self, subject: str, arrival: Arrival) -> None:
        """It is settled, given back, or to be looked at again."""
        known = self.subjects.get(subject)
        if known is None:
            return
        if known.running is arrival:
            known.running = None
        known.parking.pop(place_of(arrival), None)
        known.folding.pop(place_of(arrival), None)

    def forget(self, subject: str) -> None:
        """Nothing of it is in hand any more."""
        del self.subjects[subject]

    def remember(self, arrivals: Sequence[Arrival], rows: Sequence[OutboxRow]) -> None:
        """What a commit under the own token has released is the head of its line, until more of its subject ends."""
        ended: dict[str, list[Arrival]] = {}
        for each in arrivals:
            if each.order is not None and each.order.subject:
                ended.setdefault(each.order.subject, []).append(each)
        for subject, some in ended.items():
            self.heads.pop(subject, None)
            running = self.subjects[subject].running if subject in self.subjects else None
            if running is not None:
                turn_of(running).parked += sum(turn_of(each).seat is Seat.PARKS for each in some)
        for row in rows:
            some = ended.get(row.subject, []) if row.kind is RowKind.SELF else []
            if len(some) == 1 and some[0].key != row.inbox_key:
                self.heads[row.subject] = Line(row.inbox_key, waiting=max(turn_of(some[0]).parked - 1, 0))

    def head_is(self, arrival: Arrival) -> Line | None:
        """The line of which it is the head, where that is remembered; it is forgotten with the answer."""
        line = self.heads.pop(turn_of(arrival).subject, None)
        return line if line is not None and line.head == arrival.key and not turn_of(arrival).admit else None

    def crowd(self, subject: Subject) -> list[Arrival]:
        """Those that are parked because too many wait behind one that runs on; none where it has ended.

        None of history: it waits in the log, where it fills nobody's window.
        """
        if subject.running is None or subject.running.outcome is not None or len(subject.waiting) < CROWD:
            return []
        return [each for each in subject.waiting if is_fresh(each) and each.delivery.offset is None]

    def drop(self) -> Iterator[Arrival]:
        """Take everything that has not begun out of hand."""
        for subject in self.subjects.values():
            yield from subject.waiting
            subject.waiting = []
            subject.asked = False


def may_fold(arrival: Arrival) -> bool:
    """Whether it may stand in a batch with others of its subject: nothing is decided of it, and nothing has failed."""
    turn = turn_of(arrival)
    decided = arrival.outcome is not None or turn.preset is not None or bool(turn.discard)
    return not (decided or turn.admit or turn.alone)


def following(failed: Iterable[Arrival], among: Iterable[Arrival]) -> list[Arrival]:
    """Of `among` those that follow one of `failed` in its subject; none of what has no order."""
    first: dict[str, int] = {}
    for each in failed:
        if each.order is not None and each.order.subject:
            first[each.order.subject] = min(each.order.place, first.get(each.order.subject, each.order.place))
    return [each for each in among if each.order is not None and each.order.place > first.get(each.order.subject, _END)]


def is_fresh(arrival: Arrival) -> bool:
    """Whether it is an event that was never let go, and nothing is decided of it yet."""
    turn = arrival.order
    if turn is None or turn.discard or turn.admit or arrival.outcome is not None:
        return False
    return arrival.row is None or (arrival.row.state != "dead" and arrival.row.base == 0)
