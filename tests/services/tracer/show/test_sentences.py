"""Sentences are made of recorded facts."""

import pytest

from services.tracer.fold.flow import fold
from services.tracer.show.sentences import overview, plain, shortened, where_is
from tests.services.tracer.sample_facts import Story, expected, happy, mail_dead, placed, rejected


def answer(story: Story, at: float) -> str:
    """Where the subject of a story is, so many seconds after its start."""
    flow = fold(story.flow, story.said, story.told, expected(), story.at(at))
    return plain(where_is(story.subject, flow, story.at(at)))


def test_where_a_done_order_is() -> None:
    """A done flow is named by its last event about the subject."""
    assert answer(happy(4711), 100) == "order/4711 is confirmed: every subscription has handled it"


def test_where_a_waiting_order_is() -> None:
    """A waiting one names the subscription, since when, what failed and when it goes on."""
    assert answer(happy(4711), 1.5) == (
        "order/4711 is waiting for payments.charge since 14:05:00 "
        "(attempt 1 failed: TimeoutError; next attempt at 14:05:02)"
    )


def test_a_promise_that_is_over_is_told_as_such() -> None:
    """A next attempt whose time has passed is told as due since then, not as still to come and not as a reason."""
    told = happy(4711).until(1.5)
    assert "attempt 1 failed: TimeoutError; next attempt due since 14:05:02" in answer(told, 60)


def test_where_a_new_order_is() -> None:
    """Without a receipt nothing is guessed."""
    assert answer(placed(1), 1) == "order/1 is running: payments.charge since 14:05:00 (no attempt has ended yet)"


@pytest.mark.parametrize(
    ("cause", "error", "why"),
    [
        ("breaker", "breaker card-api is open for another 4.8 s", "deferred: breaker card-api is open"),
        ("CardsDown", "CardsDown: 503", "deferred after CardsDown"),
        ("deferred", "deferred for 5.000 s", "deferred by its own wish"),
    ],
)
def test_where_a_deferred_order_is(cause: str, error: str, why: str) -> None:
    """A deferred one tells whether a breaker is open, what failed behind it, or that it wished so."""
    told = placed(1).end(
        "payments.charge", "order.placed", "deferred", 0.1, 0.2, next_at=5.0, cause=cause, error=error
    )  # fmt: skip
    assert answer(told, 1) == (
        f"order/1 is waiting for payments.charge since 14:05:00 ({why}; next try at 14:05:05)"
    )  # fmt: skip


def test_where_an_order_is_that_waits_for_a_predecessor() -> None:
    """RULES 15.4: one that waits for its predecessor names it, and when it runs all the same."""
    told = placed(1).end(
        "payments.charge", "order.placed", "deferred", 0.1, 0.2, next_at=5.0, cause="after",
        error="payments.reserve has handled none of this subject yet",
    )  # fmt: skip
    assert answer(told, 1) == (
        "order/1 is waiting for payments.charge since 14:05:00 "
        "(waits for payments.reserve; runs all the same at 14:05:05)"
    )


def test_where_an_order_is_that_was_stale() -> None:
    """RULES 15.1: nothing waits, and nobody says that it was handled."""
    told = placed(1).end("payments.charge", "order.placed", "stale", 0.1, 0.2)
    assert answer(told, 1) == "order/1 is placed: every subscription has settled it"


def test_where_a_compensated_order_is() -> None:
    """A compensated one tells what undid what, and when."""
    assert answer(rejected(1), 100) == "order/1 is cancelled: payments.refund undid payments.charge at 14:05:12"


def test_a_compensated_order_tells_what_a_person_settled() -> None:
    """Of several effects one may have been dealt with by hand: who did it, and why, stands behind what was undone."""
    told = rejected(1).end("notifications.apology", "order.cancelled", "discarded", 90, 90, 3, by="mia", reason="old")
    assert answer(told, 100).endswith(" at 14:05:12. But notifications.apology was discarded by mia: old")


def test_where_an_order_is_that_is_being_undone() -> None:
    """An undo under way says which step it undoes."""
    assert "payments.refund since 14:05:00, which undoes payments.charge" in answer(rejected(1), 5)


def test_where_a_zombie_is() -> None:
    """A zombie names the step that stands and the undo that died."""
    assert answer(rejected(1, undo="dead"), 100) == (
        "order/1 is a zombie: payments.charge is not undone "
        "(payments.refund is dead after 2 attempts: CardsDown: 503 from /refunds)"
    )


def test_where_an_order_with_a_dead_mail_is() -> None:
    """A dead delivery stands beside how far the subject came."""
    assert answer(mail_dead(1), 100) == (
        "order/1 is confirmed, but notifications.confirmation is dead after 3 attempts: MailDown: 500 from /messages"
    )


@pytest.mark.parametrize(
    ("counts", "dead", "said"),
    [
        ({}, 0, "No event has been said yet"),
        ({"done": 3}, 0, "Nothing needs a person, and nothing is under way"),
        ({"running": 1}, 0, "Nothing needs a person; 1 flow is under way"),
        ({"zombie": 1, "running": 9}, 14, "1 flow is a zombie, 14 flows have open letters"),
        ({"zombie": 2000}, 1, "2,000 flows are zombies, 1 flow has an open letter"),
    ],
)
def test_what_the_overview_says(counts: dict[str, int], dead: int, said: str) -> None:
    """The overview's first line: what needs a person first."""
    assert plain(overview(counts.items(), dead)) == said


def test_a_long_error_is_cut() -> None:
    """One line, at most as long as a sentence bears."""
    assert shortened("first\nsecond") == "first"
    assert len(shortened("x" * 1000)) == 120
    assert shortened("  ") == ""
