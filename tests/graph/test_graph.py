"""Whole sagas in every order: no effect stands that must not, nothing is done twice, every saga ends (RULES 5)."""

import pytest

from tests.graph.scopes import SMALL, WHOLE
from tests.graph.visit import TooLarge, visit

#: Fewest histories that all small scopes have together.
FEWEST_HISTORIES = 5_000_000


@pytest.fixture(scope="module")
def histories() -> list[int]:
    """How many each scope has that was visited."""
    return []


@pytest.mark.parametrize("name", SMALL)
def test_every_history_ends_well(name: str, histories: list[int]) -> None:
    """RULES 3.1, 5.1 to 5.8: no order, crash, pause, double, unsure end and dead undo leaves what must not stand."""
    visited = visit(SMALL[name]())
    print(f"{name}: {visited.states:,} states, {visited.histories:,} histories")
    assert not visited.wrong, visited.path
    assert visited.ends > 0
    histories.append(visited.histories)


def test_there_are_many_histories(histories: list[int]) -> None:
    """The scopes are as large as they are meant to be."""
    print(f"{sum(histories):,} histories")
    assert len(histories) < len(SMALL) or sum(histories) > FEWEST_HISTORIES


@pytest.mark.parametrize(
    ("name", "many"), [("order: cancelled once shipped", 7), ("order: cancelled after delivery, twice", 10)]
)
def test_so_many_deliveries_stand_in_queues_at_once(name: str, many: int) -> None:
    """Every order of these is visited, and of what they cause."""
    assert len(WHOLE[name]().first().queue) == many


def test_a_scope_has_a_bound() -> None:
    """A scope with too many states is refused, with the way out."""
    with pytest.raises(TooLarge, match="more than 100 states: allow less harm"):
        visit(SMALL["depot: recalled"](), most=100)
