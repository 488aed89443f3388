"""The explorer: visits every state of a model breadth first and keeps the shortest path to each."""

from collections import deque
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast

#: What is wrong with a state from which no good one can be reached.
STUCK = "stuck for ever"
#: States after which a scope is refused: about 1 GB of memory.
MOST_STATES = 1_000_000

State = TypeVar("State", bound=Hashable)
Sortable = TypeVar("Sortable", bound=tuple[Any, ...])
Slot = TypeVar("Slot")


class Model(Protocol[State]):
    """Rules within a scope, some of them perhaps left out; each state is a value."""

    def first(self) -> State:
        """The state in which everything begins."""
        ...

    def moves(self, state: State) -> Iterable[tuple[str, State]]:
        """Every next state with the name of the move that leads there."""
        ...

    def wrong(self, state: State) -> str:
        """What must not be in this state, "" where all is well."""
        ...


class Lasting(Model[State], Protocol[State]):
    """A model in which something good must stay possible: from every state a good one can be reached."""

    def good(self, state: State) -> bool:
        """Whether all that is to be done is done."""
        ...


@dataclass(frozen=True, slots=True)
class Explored:
    """What a visit found: `states` known at its end, and the first bad state with the shortest path to it."""

    states: int
    wrong: str = ""
    path: tuple[str, ...] = ()


class ScopeTooLarge(Exception):
    """A scope has more states than the explorer keeps."""


def explore(model: Model[State], most: int = MOST_STATES) -> Explored:
    """Visit every state until there are no more, or one is bad. Raises `ScopeTooLarge` beyond `most` states."""
    first, back = model.first(), None if not hasattr(model, "good") else dict[State, list[State]]()
    came: dict[State, tuple[State, str] | None] = {first: None}
    waiting = deque([first])
    while waiting:
        state = waiting.popleft()
        if wrong := model.wrong(state):
            return Explored(len(came), wrong, _path(came, state))
        for move, after in model.moves(state):
            if back is not None:
                back.setdefault(after, []).append(state)
            if after not in came:
                came[after] = (state, move)
                waiting.append(after)
        if len(came) > most:
            raise ScopeTooLarge(f"{model} has more than {most} states: allow fewer crashes, copies or attempts")
    if back is not None and (stuck := _stuck(cast("Lasting[State]", model), came, back)) is not None:
        return Explored(len(came), STUCK, _path(came, stuck))
    return Explored(len(came))


def _stuck(model: Lasting[State], came: Iterable[State], back: Mapping[State, list[State]]) -> State | None:
    """The first state from which no good one can be reached; None: there is none."""
    waiting = deque([state for state in came if model.good(state)])
    reached = set(waiting)
    while waiting:
        for state in back.get(waiting.popleft(), ()):
            if state not in reached:
                reached.add(state)
                waiting.append(state)
    return next((state for state in came if state not in reached), None)


def _path(came: dict[State, tuple[State, str] | None], state: State) -> tuple[str, ...]:
    moves: list[str] = []
    while step := came[state]:
        state, move = step
        moves.append(move)
    return tuple(reversed(moves))


def put(bag: tuple[Sortable, ...], one: Sortable) -> tuple[Sortable, ...]:
    """The bag with one more in it. Bags are sorted, so that equal contents are equal states."""
    return tuple(sorted((*bag, one)))


def take(bag: tuple[Sortable, ...], one: Sortable) -> tuple[Sortable, ...]:
    """The bag with one less of these in it."""
    at = bag.index(one)
    return bag[:at] + bag[at + 1 :]


def assign(slots: tuple[Slot, ...], at: int, value: Slot) -> tuple[Slot, ...]:
    """The slots with another value in one of them."""
    return (*slots[:at], value, *slots[at + 1 :])
