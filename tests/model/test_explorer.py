"""The explorer finds every state, the shortest path to a bad one, and its bound."""

import pytest

from tests.model.explorer import Explored, ScopeTooLarge, explore
from tests.model.stairs import Stairs


def test_every_state_is_visited() -> None:
    """Where none is bad the visit ends with all states, each once."""
    assert explore(Stairs()) == Explored(11)


def test_the_shortest_path_is_told() -> None:
    """A bad state comes with the fewest moves that lead to it."""
    explored = explore(Stairs(bad=5))
    assert explored.wrong == "it breaks"
    assert explored.path == ("+1", "+2", "+2")


def test_a_scope_has_a_bound() -> None:
    """A scope with too many states is refused, with the way out."""
    with pytest.raises(ScopeTooLarge, match="more than 5 states: allow fewer"):
        explore(Stairs(), most=5)
