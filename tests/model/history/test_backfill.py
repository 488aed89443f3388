"""The model of backfill: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.history.backfill import RULES, small

#: In which scope something bad shows when a rule is left out.
FOUND = {
    "bind": "live events",
    "wait": "live events",
    "gate": "live events",
    "inbox": "live events",
    "offset": "live events",
    "patrol": "a late publish",
    "compare": "retention",
}


@pytest.mark.parametrize("scope", small())
def test_no_crash_pause_or_cut_makes_a_gap_that_nobody_sees(scope: str) -> None:
    """RULES 7.5: in no order of moves is an event missing, doubled or out of its order."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 300, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 7.5: with one rule left out the model finds a state that must not be."""
    explored = explore(small(frozenset({rule}))[FOUND[rule]])
    assert explored.wrong
    assert explored.path
