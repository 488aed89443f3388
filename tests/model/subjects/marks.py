"""RULES 15.4 as a state graph driven by the product's own functions: those of `hocket.store.subjects.rows`.

One subject, one predecessor, some deliveries that wait for it. Each look, commit and publish is one move; a crash may
come between any two, and then the delivery comes again. The time-out of a wait is a move of its own.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from hocket.store.subjects.rows import Mark, MarkWrite, marked, sent, wakes
from tests.model.explorer import assign

#: The rules that can be left out.
RULES: Mapping[str, str] = {
    "lock": "RULES 15.4: who waits marks that under the row's lock, and is sent at once where it is done by then",
    "together": "RULES 15.4: the predecessor's own transaction marks and sends",
    "bound": "RULES 15.4: a wait ends after its time",
    "waited": "RULES 15.4: what has waited once does not wait again",
}
DONE, WANTED = MarkWrite(b"", done=True), MarkWrite(b"", done=False)


class State(NamedTuple):
    """Where each delivery is, what became of the predecessor, and the mark.

    A delivery: `queue` at the broker, `defers` or `runs` in hand after a look, `later` in the outbox until its time,
    `due` there, `back` at the broker after its wait, `ended`. The predecessor: `queue`, `marked` where the sending is
    still to come, `handled`, `dead`.
    """

    waiters: tuple[str, ...]
    first: str = "queue"
    mark: Mark = Mark()
    crashes: int = 0


Step = tuple[str, State]


@dataclass(frozen=True)
class Scenario:
    """How many wait, how often a process dies, and whether the predecessor may be given up."""

    waiters: int = 2
    crashes: int = 1
    dies: bool = False
    without: frozenset[str] = frozenset()

    def first(self) -> State:
        """Nothing has been looked at."""
        return State(("queue",) * self.waiters, crashes=self.crashes)

    def moves(self, state: State) -> Iterator[Step]:
        """Every next state, with the name of the move."""
        yield from self._predecessor(state)
        for at, where in enumerate(state.waiters):
            for name, there, after in self._waiter(state, where):
                yield f"{at} {name}", after._replace(waiters=assign(after.waiters, at, there))

    def _predecessor(self, s: State) -> Iterator[Step]:
        if s.first == "queue":
            mark = marked(s.mark, DONE)
            if "together" in self.without:
                yield "the predecessor commits", s._replace(first="marked", mark=mark)
            else:
                yield "the predecessor commits", _send(s._replace(first="handled", mark=mark))
            if self.dies:
                yield "the predecessor is given up", s._replace(first="dead")
        if s.first == "marked":
            yield "it sends who waits", _send(s._replace(first="handled"))
            if s.crashes:
                yield "its process dies", s._replace(first="handled", crashes=s.crashes - 1)

    def _waiter(self, s: State, where: str) -> Iterator[tuple[str, str, State]]:
        match where:
            case "queue":
                yield "looks", "runs" if s.mark.done else "defers", s
            case "back":
                yield "looks", "runs" if s.mark.done or "waited" not in self.without else "defers", s
            case "defers":
                mark = marked(s.mark, WANTED)
                if wakes(mark) and "lock" not in self.without:
                    after = _send(s._replace(mark=mark))
                    yield "commits that it waits, and is sent", "due", after
                else:
                    yield "commits that it waits", "later", s._replace(mark=mark)
            case "runs":
                yield "commits", "ended", s
            case "later" if "bound" not in self.without:
                yield "has waited its time", "due", s
            case "due":
                yield "is published", "back", s
        if where in {"defers", "runs"} and s.crashes:
            yield "dies with its process", "queue", s._replace(crashes=s.crashes - 1)

    def wrong(self, state: State) -> str:
        """A wake-up that was lost."""
        if state.first == "handled" and "later" in state.waiters:
            return "it waits although its predecessor was handled"
        return ""

    def good(self, state: State) -> bool:
        """Everything has ended."""
        return set(state.waiters) == {"ended"}


def _send(s: State) -> State:
    if not wakes(s.mark):
        return s
    there = tuple("due" if each == "later" else each for each in s.waiters)
    return s._replace(waiters=there, mark=sent(s.mark))


def small(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Scopes that the suite visits."""
    return {
        "handled": Scenario(without=without),
        "given up": Scenario(dies=True, without=without),
    }


def whole(without: frozenset[str] = frozenset()) -> Mapping[str, Scenario]:
    """Scopes that `make models` visits."""
    return {
        "handled": Scenario(4, 3, without=without),
        "given up": Scenario(4, 3, dies=True, without=without),
    }
