"""Each planted bug is found by the graph, and by nothing but the bug."""

import pytest

from tests.graph.__main__ import main
from tests.graph.bugs import BUGS, found, planted

STANDS = "did stands although a failure was said, and nobody sees it"
#: What is said of the first bad state.
FOUND = {
    "tombstone off": STANDS,
    "begun not written": STANDS,
    "unsure treated as refused": STANDS,
    "scope ignored": "is refused, and no failure was said",
    "undo twice": "is undone 2 times",
    "declined treated as done": "undid what was declined",
    "time-out not cancelled": "fired although it was answered",
    "alarm that decides when due": "fired over an answer that stood in its queue",
    "attempt counted while open": "an attempt was counted while the breaker was not closed",
    "probe always the same delivery": "stuck for ever",
    "on_dead outside the transaction": STANDS,
    "version not compared": "began and never ended",
}


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found(name: str) -> None:
    """RULES 3.1, 5.1 to 5.7, 6.1: the graph finds it by the shortest path, and says what is wrong."""
    seen = found(name)
    assert FOUND[name] in seen.wrong
    assert seen.path


def test_a_bug_is_gone_with_its_context() -> None:
    """Nothing of it stays in the product."""
    with planted("tombstone off"):
        assert BUGS["tombstone off"].look().wrong
    assert not BUGS["tombstone off"].look().wrong


def test_the_table_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """`--bugs` prints the bug, where it stands, what is wrong and the path."""
    assert main(["--bugs", "alarm that decides when due"]) == 0
    told = capsys.readouterr().out
    assert "in store.sqlite.timers.due, saga.overdue.fire: bureau.unanswered fired over an answer" in told
    assert told.endswith("1 of 1 bugs found\n")


def test_the_scopes_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an option it prints states, ends and histories of each scope and of all."""
    assert main(["depot: recalled"]) == 0
    told = capsys.readouterr().out
    assert "depot: recalled: 519 states, 9 ends, 14,556 histories, none bad" in told
    assert "in all 519 states and 14,556 histories" in told


def test_an_unknown_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The error names what there is."""
    with pytest.raises(SystemExit):
        main(["--bugs", "no such bug"])
    assert "nothing of this name: no such bug; there are tombstone off; begun not written" in capsys.readouterr().err
