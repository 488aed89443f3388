"""The model of time-outs: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.overdue import RULES, small

#: In which scope something bad shows when a rule is left out.
FOUND = {
    "mark": "armed and answered",
    "row": "armed and answered",
    "generation": "armed again",
    "queue": "armed and answered",
    "park": "armed and answered",
    "again": "a watch",
    "inbox": "no answer",
    "own": "what it says answers",
}


@pytest.mark.parametrize("scope", small())
def test_no_order_rushes_loses_or_doubles(scope: str) -> None:
    """RULES 5.7: no order of arrival, crash, pause and double fires over an answer, fires twice, or wedges."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 300, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 5.7: with one rule left out the model finds a state that must not be."""
    explored = explore(small(frozenset({rule}))[FOUND[rule]])
    assert explored.wrong
    assert explored.path
