"""The model of latest values: the product's decisions hold in small scopes, and each rule is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.subjects.latest import RULES, small


@pytest.mark.parametrize("scope", small())
def test_nothing_older_is_written_and_nothing_is_silenced(scope: str) -> None:
    """RULES 15.1: no order of looks, commits, failures and doubles writes an older value or loses one for nothing."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 200, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 15.1: with one rule left out the model finds a state that must not be."""
    explored = [explore(scope) for scope in small(frozenset({rule})).values()]
    assert [each for each in explored if each.wrong and each.path]
