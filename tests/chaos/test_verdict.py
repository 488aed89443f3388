"""The judgement turns red for whatever the auditor, the desk or the fleet tells."""

from tests.chaos.plan import Act, Do
from tests.chaos.verdict import told, verdict_of
from tests.deploy.auditor.books import Books

MAIL_DOWN = (Act(1.0, Do.FAULT, "mail", seconds=5.0, what="error"),)


def books() -> Books:
    """A shop that did everything right; its one letter came of the mail system."""
    found = Books()
    found.letters[0] |= {"service": "notifications", "cause": "TimeoutError", "error": "no answer"}
    return found


def test_good_books_are_green() -> None:
    """And the last line has the counts."""
    verdict = verdict_of(books().evidence(), MAIL_DOWN, ())
    assert verdict.green
    assert verdict.line == (
        "orders 6 confirmed 2 cancelled 4 open 0 lost 0 double charges 0 zombies 0 letters unexplained 0"
    )


def test_an_order_that_did_not_end_is_red() -> None:
    """It is named."""
    made = books()
    made.state("A", "confirmed")
    verdict = verdict_of(made.evidence(), MAIL_DOWN, ())
    assert not verdict.green
    assert "open 1 lost 1" in verdict.line
    assert any("order/A" in line for line in told(verdict))


def test_a_handled_letter_that_nothing_explains_is_red() -> None:
    """Once in the line, also where the auditor names it too."""
    made = books()
    assert verdict_of(made.evidence(), (), ()).line.endswith("letters unexplained 1")
    made.letters[0] |= {"state": "pending", "replays": 0}
    assert verdict_of(made.evidence(), (), ()).line.endswith("letters unexplained 1")
    assert verdict_of(made.evidence(), MAIL_DOWN, ()).line.endswith("letters unexplained 1")


def test_a_flow_that_the_tracer_shows_otherwise_is_red() -> None:
    """The tracer must tell what the books tell."""
    verdict = verdict_of(books().evidence(), MAIL_DOWN, (), {"zombie": ["order/A (f1)"], "waiting": ["order/B (f2)"]})
    assert [(each.kind, each.name) for each in verdict.findings] == [("zombie", "order/A"), ("open", "order/B")]


def test_a_process_that_ended_by_itself_is_red() -> None:
    """Although the books balance."""
    assert not verdict_of(books().evidence(), MAIL_DOWN, ["crm ended by itself with status 1: KeyError"]).green
