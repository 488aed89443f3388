"""The model of ordered subscriptions: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.ordering.ordered import RULES, small

#: In which scope something bad shows when a rule is left out.
FOUND = {
    "active": "a retry",
    "token": "a retry",
    "gather": "three pass through",
    "ask": "three pass through",
    "load": "a retry",
    "park": "a retry",
    "release": "a retry",
    "discard": "block",
}


@pytest.mark.parametrize("scope", small())
def test_no_accident_breaks_the_order_or_wedges(scope: str) -> None:
    """RULES 9.1 to 9.7: no crash, hand-over, copy, failure, replay or discard breaks the order, loses or doubles."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 150, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 9.1 to 9.6: with one rule left out the model finds a state that must not be."""
    explored = explore(small(frozenset({rule}))[FOUND[rule]])
    assert explored.wrong
    assert explored.path
