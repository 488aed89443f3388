"""What a group of endings makes of the lines of subjects (RULES 9.4, 9.5). Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hocket.store.records import LineChange, OrderedWrite, OutboxRow

#: A line: (subscription, subject).
Slot = tuple[str, str]


class Line(NamedTuple):
    """A subject whose head is not finished."""

    head: bytes  # inbox key
    death: str = ""  # the head waits for a person, who sees this death; "": it is tried again
    waiting: int = 0  # how many stand behind the head
    since: float = 0.0  # when it began to be so, in seconds since 1970; to write: 0 is now


@dataclass(slots=True)
class Lines:
    """The lines that a group is about, as they are under their lock, and what becomes of them.

    `first` is the next of a line with its place; `known` are the keys that stand in a line already; `ended` are those
    heads, named by whoever parks behind them, whose event is handled.
    """

    lines: dict[Slot, Line]
    first: Mapping[Slot, OutboxRow] = field(default_factory=dict)
    known: frozenset[tuple[str, bytes]] = frozenset()
    ended: frozenset[bytes] = frozenset()
    touched: dict[Slot, Line | None] = field(default_factory=dict)
    parked: list[OrderedWrite] = field(default_factory=list)
    sent: list[tuple[str, bytes]] = field(default_factory=list)

    def plan(self, asked: Sequence[tuple[int, OrderedWrite]]) -> tuple[set[int], dict[int, OutboxRow]]:
        """The endings that lose by their line, and what the others send, if every one of them wins its inbox row."""
        trial = Lines(dict(self.lines), self.first, self.known, self.ended)
        lost: set[int] = set()
        sends: dict[int, OutboxRow] = {}
        for at, write in asked:
            if not trial.allows(write):
                lost.add(at)
            elif (row := trial.apply(write)) is not None:
                sends[at] = row
        return lost, sends

    def allows(self, write: OrderedWrite) -> bool:
        """Whether there is a line to stand in, or a head to begin one."""
        if write.change is not LineChange.PARK:
            return True
        return slot_of(write) in self.lines or (bool(write.behind) and write.behind not in self.ended)

    def apply(self, write: OrderedWrite) -> OutboxRow | None:
        """The change of one ending that has won; what it sends."""
        slot = slot_of(write)
        line = self.lines.get(slot)
        match write.change:
            case LineChange.HOLD if line is None or line.head == write.key:
                keeps = line is not None and line.death == write.death
                since = line.since if keeps and line is not None else 0.0
                self._put(slot, Line(write.key, write.death, line.waiting if line else 0, since))
            case LineChange.PARK:
                self._park(slot, line or Line(write.behind), write)
            case LineChange.RELEASE if line is not None and line.head == write.key:
                return self._release(slot, line)
        return None

    def _park(self, slot: Slot, line: Line, write: OrderedWrite) -> None:
        stands = {(write.subscription, write.key)} & self.known or any(each.key == write.key for each in self.parked)
        if stands or line.head == write.key:
            self._put(slot, line)
            return
        self.parked.append(write)
        self._put(slot, line._replace(waiting=line.waiting + 1))

    def _release(self, slot: Slot, line: Line) -> OutboxRow | None:
        following = self.first.get(slot)
        if following is None:  # parked by the same group
            here = [each for each in self.parked if slot_of(each) == slot]
            following = here[0].parked if here else None
            self.parked = [each for each in self.parked if each not in here[:1]]
        else:
            self.sent.append((slot[0], following.inbox_key))
        if following is None:
            self.touched[slot] = None
            self.lines.pop(slot, None)
            return None
        self._put(slot, Line(following.inbox_key, "", max(line.waiting - 1, 0)))
        return following

    def _put(self, slot: Slot, line: Line) -> None:
        self.lines[slot] = self.touched[slot] = line

    def won(self, writes: Iterable[OrderedWrite]) -> None:
        """The changes of those that have won, in order."""
        for write in writes:
            self.apply(write)

    @property
    def kept(self) -> list[tuple[Slot, Line]]:
        """The lines to write."""
        return [(slot, line) for slot, line in self.touched.items() if line is not None]

    @property
    def gone(self) -> list[Slot]:
        """The lines that have ended."""
        return [slot for slot, line in self.touched.items() if line is None]


def slot_of(write: OrderedWrite) -> Slot:
    """The line that it is about."""
    return write.subscription, write.subject


def line_of(values: Sequence[object]) -> tuple[Slot, Line]:
    """A row of `hocket_lines`: subscription, subject, head, death, waiting, since."""
    subscription, subject, head, death, waiting, since = values
    assert isinstance(head, bytes | memoryview)
    assert isinstance(waiting, int)
    assert isinstance(since, float)
    return (str(subscription), str(subject)), Line(bytes(head), str(death), waiting, since)
