"""What a replay would do, and why it is not sent."""

import pytest

from services.deadletters.fold.replay_plan import (
    REPLAY_SECONDS,
    SENDING_SECONDS,
    Candidate,
    Hearer,
    discard_refusal,
    plan,
)
from services.deadletters.fold.state import Act, Standing, State

REPLAY = Act("replay", "t06", (5, "t05"), 6, "r-1", sent_at="t06")
LETTER = Candidate("crm.record_order", 5, "KeyError", False, False)


@pytest.mark.parametrize(
    ("now", "letter", "refusal"),
    [
        (Standing(State.HANDLED), LETTER, "handled already"),
        (Standing(State.DISCARDED), LETTER, "was discarded"),
        (Standing(State.OBSOLETE), LETTER, "is obsolete"),
        (Standing(State.OBSOLETE), Candidate("a.b", 5, "X", True, False), "on_dead said what follows"),
        (Standing(State.PENDING), Candidate("a.b", 1, "conflict", False, False), "is a conflict"),
        (Standing(State.REPLAYING, replay=REPLAY), LETTER, "replay was sent at t06"),
    ],
)
def test_what_is_not_sent_says_why(now: Standing, letter: Candidate, refusal: str) -> None:
    """docs/console.md §8: a sentence never claims more than what is recorded."""
    assert refusal in plan(letter, now, Hearer(), 100.0).refusal


def test_a_send_under_way_is_not_doubled_and_a_lost_one_is_repeated() -> None:
    """Within the time a send may take it is refused; afterwards, or when it failed, it goes under the same id."""
    under_way = Act("replay", "t06", (5, "t05"), 6, "r-1", tried=100.0)
    now = Standing(State.REPLAYING, replay=under_way)
    assert "being sent right now" in plan(LETTER, now, Hearer(), 101.0).refusal
    late = plan(LETTER, now, Hearer(), 101.0 + SENDING_SECONDS)
    assert (late.refusal, late.repeats, late.attempt) == ("", "r-1", 6)
    failed = Standing(
        State.REPLAYING, replay=Act("replay", "t06", (5, "t05"), 6, "r-1", tried=100.0, failure="no broker")
    )
    assert plan(LETTER, failed, Hearer(), 101.0).repeats == "r-1"


def test_what_follows_is_said_only_when_it_is_known() -> None:
    """A service that has not reported itself leaves it open."""
    fresh = Standing(State.PENDING)
    assert plan(LETTER, fresh, Hearer(), 0.0).then == "What follows is not known."
    assert plan(LETTER, fresh, Hearer(True), 0.0).then == "It says nothing, so nothing else follows."
    assert plan(LETTER, fresh, Hearer(True, ("a.b",)), 0.0).then == "If it is handled, it may say a.b."
    assert any("failed again" in each for each in plan(LETTER, Standing(State.PENDING, 1), Hearer(), 0.0).warnings)


def test_a_subscription_that_its_service_no_longer_lists_takes_no_replay() -> None:
    """Nobody would take it: refused at once, with the way out."""
    refusal = plan(LETTER, Standing(State.PENDING), Hearer(lists=False), 0.0).refusal
    assert refusal.startswith("crm no longer lists crm.record_order")
    assert "discard the letter" in refusal


def test_a_letter_under_replay_is_not_discarded() -> None:
    """What was sent cannot be called back: refused until its receipt should have come, or nobody can take it."""
    now = Standing(State.REPLAYING, replay=Act("replay", "t06", (5, "t05"), 6, "r-1", tried=100.0, sent_at="t06"))
    assert "cannot be called back" in discard_refusal(now, Hearer(True), 200.0)
    assert discard_refusal(now, Hearer(True), 101.0 + REPLAY_SECONDS) == ""
    assert discard_refusal(now, Hearer(lists=False), 200.0) == ""
    sending = Standing(State.REPLAYING, replay=Act("replay", "t06", (5, "t05"), 6, "r-1", tried=100.0))
    assert "being sent right now" in discard_refusal(sending, Hearer(True), 101.0)
    assert discard_refusal(Standing(State.PENDING), Hearer(), 0.0) == ""
    assert "handled already" in discard_refusal(Standing(State.HANDLED), Hearer(), 0.0)
