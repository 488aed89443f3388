"""The program of `make models` says what it found; its status says whether all of it was as it must be."""

import pytest

from tests.model.__main__ import RuleSet, judge, main
from tests.model.stairs import Stairs


def test_a_rule_that_nothing_needs_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """A rule without which no state is bad makes the model fail; the others stand beside it."""
    stairs = RuleSet({"rail": "one", "paint": "two"}, lambda without: {"up": Stairs(7 if "rail" in without else None)})
    assert not judge("stairs", stairs)
    assert capsys.readouterr().out == "stairs: 11 states, none bad; bad without rail; not bad without paint\n"


def test_a_bad_state_is_told_with_its_path(capsys: pytest.CaptureFixture[str]) -> None:
    """Whole rules that lead to a bad state fail, with scope and path; states of all visited scopes count."""
    assert not judge("stairs", RuleSet({}, lambda _: {"well": Stairs(), "broken": Stairs(2)}))
    assert capsys.readouterr().out == "stairs: 15 states, it breaks (broken)\n  +2\n"


def test_what_a_rule_is_for_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`--without` prints the rule, the state that must not be and the path to it."""
    assert main(["delivery", "--without", "inbox"]) == 0
    told = capsys.readouterr().out
    assert "the effect came twice" in told
    assert "RULES 3.1" in told
    assert told.endswith("replica 2 commits\n")


def test_an_unknown_rule_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names the rules that are known."""
    with pytest.raises(SystemExit):
        main(["saga", "--without", "inbox"])
    assert "no rule inbox: the rules are saga: begun, owner" in capsys.readouterr().err
