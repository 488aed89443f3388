"""RULES 15.1 as a state graph driven by the product's own functions: those of `hocket.store.subjects.rows`.

One subject, events with values, each perhaps delivered twice at once. A look, a commit, a failure and a burial are one
move each; between the look and the commit of one any other may commit.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hocket.store.subjects.rows import Latest, is_stale
from tests.model.explorer import assign

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "set": "RULES 15.1: the commit compares again, under the row's lock",
    "winners": "RULES 3.1: a run that loses its inbox row raises no value",
    "handled": "RULES 15.1: only what was handled raises the value",
    "equal": "RULES 15.1: an equal value is not stale",
}


class Hand(NamedTuple):
    """One delivery of an event, `queue`, `runs` or `ended`."""

    event: int
    where: str = "queue"


class State(NamedTuple):
    """The deliveries, what the inbox knows of each event, the row, and the greatest value handled."""

    hands: tuple[Hand, ...]
    inbox: tuple[str, ...]
    row: int = 0  # 0: none
    greatest: int = 0
    failures: int = 0
    wrong: str = ""


Step = tuple[str, State]


@dataclass(frozen=True)
class Scenario:
    """The values of the events, which of them come, and how many attempts may fail; the last event may be buried."""

    values: tuple[int, ...] = (1, 2, 2)
    coming: tuple[int, ...] = (0, 1, 2, 2)
    failures: int = 1
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """Everything is in the queue."""
        return State(tuple(map(Hand, self.coming)), ("",) * len(self.values), failures=self.failures)

    def moves(self, state: State) -> Iterator[Step]:
        """Every next state, with the name of the move."""
        for at, hand in enumerate(state.hands):
            steps = self._looks if hand.where == "queue" else self._ends if hand.where == "runs" else None
            for name, there, after in steps(state, hand) if steps else ():
                hands = assign(after.hands, at, hand._replace(where=there))
                yield f"delivery {at} {name}", after._replace(hands=hands)

    def _stale(self, s: State, value: int) -> bool:
        known = Latest("v", bytes([s.row])) if s.row else None
        given = value - 1 if "equal" in self.without else value
        return is_stale(known, Latest("v", bytes([given])))

    def _looks(self, s: State, hand: Hand) -> Iterator[tuple[str, str, State]]:
        value = self.values[hand.event]
        if s.inbox[hand.event]:
            yield "was seen", "ended", s
        elif self._stale(s, value):
            wrong = "" if s.greatest > value else "it ended stale, and nothing greater was handled"
            yield "ends stale", "ended", _in_inbox(s, hand, "stale")._replace(wrong=wrong)
        else:
            yield "begins", "runs", s

    def _ends(self, s: State, hand: Hand) -> Iterator[tuple[str, str, State]]:
        value, known = self.values[hand.event], s.inbox[hand.event]
        if self._stale(s, value) and "set" not in self.without:
            yield "loses by its value", "queue", s
        elif known:
            yield "loses its inbox row", "ended", s._replace(row=value) if "winners" in self.without else s
        else:
            wrong = "an older value was written over a newer one" if value < s.greatest else ""
            after = _in_inbox(s, hand, "handled")
            yield "commits", "ended", after._replace(row=value, greatest=max(value, s.greatest), wrong=wrong)
        if s.failures and not known:
            yield "fails", "queue", s._replace(failures=s.failures - 1)
        if hand.event == len(self.values) - 1 and not known:
            dead = _in_inbox(s, hand, "dead")
            yield "is buried", "ended", dead._replace(row=value) if "handled" in self.without else dead

    def wrong(self, state: State) -> str:
        """What must not be, found in the last move."""
        return state.wrong


def _in_inbox(s: State, hand: Hand, word: str) -> State:
    return s._replace(inbox=assign(s.inbox, hand.event, word))


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Scopes that the suite visits."""
    return {"three events": Scenario(without=without)}


def whole(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Scopes that `make models` visits."""
    return {"four events": Scenario((1, 2, 2, 3), (0, 0, 1, 2, 3, 3), 2, without)}
