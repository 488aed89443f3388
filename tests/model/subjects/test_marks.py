"""The model of marks: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.subjects.marks import RULES, small


@pytest.mark.parametrize("scope", small())
def test_no_wake_up_is_lost(scope: str) -> None:
    """RULES 15.4: no order of looks, commits and crashes leaves one waiting whose predecessor was handled."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 50, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 15.4: with one rule left out the model finds a state that must not be."""
    explored = [explore(scope) for scope in small(frozenset({rule})).values()]
    assert [each for each in explored if each.wrong and each.path]
