"""The model of projections: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.projection.generations import DEATH, FAIL_OVER, REBUILD, RULES, STEPS, SUPERSEDED, Scope, small

BACK = "a read went back"
#: In which scope something bad shows when a rule is left out, and what.
FOUND = {
    "apart": (REBUILD, BACK),
    "superset": (DEATH, BACK),
    "lock": (STEPS, BACK),
    "watch": (STEPS, BACK),
    "number": (STEPS, BACK),
    "same": (SUPERSEDED, "2 serves and hears nothing any more"),
    "grace": (FAIL_OVER, "1 serves and hears nothing any more"),
    "inbox": (REBUILD, "1 twice in 1"),
    "snapshot": (REBUILD, "read a table that is dropped"),
    "token": (REBUILD, "did not read its own write"),
}


@pytest.mark.parametrize("scope", small())
def test_no_read_goes_back_and_the_newest_serves(scope: str) -> None:
    """RULES 14.1 to 14.8: no order of events, deaths, copies, fail-overs and swaps shows less than before, or hangs."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 1000, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 14.1 to 14.7: with one rule left out the model finds a state that must not be."""
    scope, wrong = FOUND[rule]
    scopes = {**small(frozenset({rule})), SUPERSEDED: Scope(rollouts=1, without=frozenset({rule}))}
    assert explore(scopes[scope]).wrong == wrong
