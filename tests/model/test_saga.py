"""The model of sagas: its rules hold in small scopes, and each of them is needed."""

import pytest

from tests.model.explorer import explore
from tests.model.saga import RULES, small

TWICE = "a failure that comes twice"
UNSEEN = "a zombie that nobody sees"
#: What shows first when a rule is left out, and the scope in which it shows.
FOUND = {
    "begun": (TWICE, UNSEEN),
    "owner": (TWICE, UNSEEN),
    "mark": (TWICE, UNSEEN),
    "lock": (TWICE, UNSEEN),
    "tombstone": (TWICE, UNSEEN),
    "void": (TWICE, "undid a step that had done nothing"),
    "next-undo": (TWICE, UNSEEN),
    "no-second-begin": ("a letter is replayed while a failure may come", "failed and left done"),
}


@pytest.mark.parametrize("scope", small())
def test_what_failed_is_undone_or_seen(scope: str) -> None:
    """RULES 5.2 to 5.6: no order of failure, crash, pause, double and replay leaves a zombie that nobody sees."""
    explored = explore(small()[scope])
    assert not explored.wrong, explored.path
    assert explored.states > 500, "it visits what it is meant to visit"


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_needed(rule: str) -> None:
    """RULES 3.1, 5.2 to 5.6: with one rule left out the model finds a state that must not be."""
    scope, wrong = FOUND[rule]
    explored = explore(small(frozenset({rule}))[scope])
    assert explored.wrong == wrong
    assert explored.path
