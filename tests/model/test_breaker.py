"""The model of breakers: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.breaker import RULES, small
from tests.model.explorer import STUCK, explore

ILL, CRASH, HAND = "falls ill and recovers", "ill from the start, a crash", "opened and closed by hand"
UNAWARE = "a replica that knew nothing called in the ramp"
#: In which scope something bad shows when a rule is left out, and what.
FOUND = {
    "tell": (ILL, "an attempt was counted while the breaker was not closed"),
    "slots": (ILL, "2 calls at once where the ramp allows 1"),
    "expiry": (CRASH, STUCK),
    "renew": (ILL, UNAWARE),
    "blame": ("a poisonous payload alone", STUCK),
    "order": ("one poisonous payload", STUCK),
    "hold": (HAND, UNAWARE),
}


@pytest.mark.parametrize("scope", small())
def test_nothing_is_harmed_and_nothing_is_stuck(scope: str) -> None:
    """RULES 6.1 to 6.7: no crash, cancelled call, poison or hand burns an attempt, floods the outside, or wedges."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 100, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 6.1 to 6.7: with one rule left out the model finds a state that must not be."""
    scope, wrong = FOUND[rule]
    assert explore(small(frozenset({rule}))[scope]).wrong == wrong
