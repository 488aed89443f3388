"""Visits every state of a graph, finds the first bad one, and counts the histories that lead to its ends."""

from array import array
from collections import deque
from dataclasses import dataclass

from tests.graph.values import State
from tests.model.explorer import Model

#: States after which a scope is refused: about 2 GB of memory.
MOST_STATES = 2_000_000


@dataclass(frozen=True, slots=True)
class Visited:
    """States, moves between them, histories (ways from the beginning to an end), ends; the first bad state."""

    states: int
    moves: int = 0
    histories: int = 0
    ends: int = 0
    wrong: str = ""
    path: tuple[str, ...] = ()


class TooLarge(Exception):
    """A scope has more states than are kept, or goes round in a circle."""


def visit(scope: Model[State], *, count: bool = True, most: int = MOST_STATES) -> Visited:
    """Visit every state breadth first until there are no more, or one is bad."""
    first = scope.first()
    number: dict[State, int] = {first: 0}
    came: list[tuple[int, str]] = [(-1, "")]
    edges: list[array[int]] = []
    waiting = deque([first])
    moves = 0
    while waiting:
        state = waiting.popleft()
        at = number[state]
        if wrong := scope.wrong(state):
            return Visited(len(number), moves, wrong=wrong, path=_path(came, at))
        after: list[int] = []
        for move, following in scope.moves(state):
            if following == state:
                continue
            to = number.get(following)
            if to is None:
                to = number[following] = len(came)
                came.append((at, move))
                waiting.append(following)
            after.append(to)
        moves += len(after)
        if count:
            edges.append(array("l", after))
        if len(number) > most:
            raise TooLarge(f"more than {most} states: allow less harm")
    histories = _histories(edges) if count else 0
    return Visited(len(number), moves, histories, sum(not each for each in edges))


def _histories(edges: "list[array[int]]") -> int:
    """How many ways lead from the first state to one without a next: as no way goes round, they can be counted."""
    into = array("l", [0]) * len(edges)
    for after in edges:
        for to in after:
            into[to] += 1
    ways = [0] * len(edges)
    ways[0] = 1
    ready, found, visited = [0], 0, 0
    while ready:
        at = ready.pop()
        visited += 1
        if not edges[at]:
            found += ways[at]
        for to in edges[at]:
            ways[to] += ways[at]
            into[to] -= 1
            if not into[to]:
                ready.append(to)
        ways[at] = 0
    if visited != len(edges):
        raise TooLarge(f"{len(edges) - visited} states lie on a circle: something goes on for ever")
    return found


def _path(came: list[tuple[int, str]], at: int) -> tuple[str, ...]:
    path: list[str] = []
    while at:
        at, move = came[at]
        path.append(move)
    return tuple(reversed(path))
