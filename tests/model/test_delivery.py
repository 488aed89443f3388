"""The model of delivery: its rules hold in small scopes, and each of them is needed."""

import pytest

from tests.model.delivery import RULES, small
from tests.model.explorer import explore

#: What shows first when a rule is left out, and the scope in which it shows.
FOUND = {
    "inbox": ("a crash", "the effect came twice"),
    "upsert": ("a crash", "lost"),
    "commit-failure": ("a crash", "lost"),
    "defer-number": ("a deferral", "lost"),
    "budget": ("a crash", "buried with attempts left"),
    "refused-commit": ("a refused commit", "repeated for ever"),
}


@pytest.mark.parametrize("scope", small())
def test_nothing_is_lost_or_twice(scope: str) -> None:
    """RULES 3.1, 3.2, 3.5, 8.4: no doubles, crashes, retries and replay lose the event or double its effect."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 1000, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 3.1, 3.2, 3.5, 8.4: with one rule left out the model finds a state that must not be."""
    scope, wrong = FOUND[rule]
    explored = explore(small(frozenset({rule}))[scope])
    assert explored.wrong == wrong
    assert explored.path
