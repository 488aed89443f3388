"""How a report stands to its goals."""

from tests.bench.goals import Goal, verdict


def test_a_ratio_is_to_the_named_peer() -> None:
    """A goal whose peer was not measured says nothing."""
    report = {"rate": {"hocket": 60.0, "raw": 100.0}}
    assert verdict(report, [Goal("rate", "raw", at_least=0.5)]) == ["reached rate to raw: 0.60, goal >= 0.5"]
    assert verdict(report, [Goal("rate", "other", at_least=0.5), Goal("other", at_most=1.0)]) == []


def test_none_is_a_bound() -> None:
    """A goal of none is reached by none, and missed by one."""
    goal = Goal("letters", at_most=0.0)
    assert verdict({"letters": {"hocket": 0.0}}, [goal]) == ["reached letters: 0.00, goal <= 0"]
    assert verdict({"letters": {"hocket": 1.0}}, [goal]) == ["MISSED  letters: 1.00, goal <= 0"]
