"""A letter's state is a function of the set of its facts; and what a replay would do."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deadletters.fold.state import (
    SENDING_SECONDS,
    Act,
    Death,
    Hearer,
    Receipt,
    Standing,
    State,
    Subject,
    plan,
    sentence,
    standing,
)

FIRST = Death(5, "t05", "KeyError")
AGAIN = Death(10, "t10", "KeyError")
REPLAY = Act("replay", "t06", (5, "t05"), 6, "r-1", sent_at="t06")
DISCARD = Act("discard", "t07", (5, "t05"))
HANDLED = Receipt("handled", 6, "t08", "r-1")
LETTER = Subject("crm.record_order", 5, "KeyError", False, "order.placed", "order/1", False)

deaths = st.lists(
    st.builds(
        Death,
        st.integers(1, 12),
        st.sampled_from(["", "t1", "t2"]),
        st.sampled_from(["KeyError", "conflict"]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=1,
    max_size=4,
)
receipts = st.lists(
    st.builds(
        Receipt,
        st.sampled_from(["handled", "obsolete", "refused", "retry", "duplicate"]),
        st.integers(1, 12),
        st.sampled_from(["t1", "t2"]),
        st.sampled_from(["", "r-1", "r-2"]),
    ),
    max_size=4,
)
acts = st.lists(
    st.builds(
        Act,
        st.sampled_from(["replay", "discard"]),
        st.sampled_from(["t1", "t2"]),
        st.tuples(st.integers(1, 12), st.sampled_from(["", "t1", "t2"])),
        st.integers(2, 13),
        st.sampled_from(["r-1", "r-2"]),
    ),
    max_size=3,
    unique_by=lambda act: act.time,
)


@given(deaths, receipts, acts, st.randoms())
def test_the_order_of_the_facts_does_not_matter(
    deaths: list[Death], receipts: list[Receipt], acts: list[Act], chance: st.DataObject
) -> None:
    """RULES 7.4, 8.2: any order of arrival gives the same state."""
    before = standing(deaths, receipts, acts)
    for facts in (deaths, receipts, acts):
        chance.shuffle(facts)  # type: ignore[attr-defined]
    after = standing(deaths, receipts, acts)
    assert (after.state, after.again) == (before.state, before.again)


@pytest.mark.parametrize(
    ("deaths", "receipts", "acts", "state"),
    [
        ([FIRST], [], [], State.PENDING),
        ([FIRST], [], [REPLAY], State.REPLAYING),
        ([FIRST], [HANDLED], [REPLAY], State.HANDLED),
        ([FIRST], [Receipt("handled", 6, "t08")], [], State.HANDLED),
        ([FIRST], [Receipt("handled", 5, "t04")], [], State.PENDING),
        ([FIRST], [Receipt("retry", 6, "t08", "r-1")], [REPLAY], State.REPLAYING),
        ([FIRST], [Receipt("duplicate", 6, "t08", "r-1")], [REPLAY], State.PENDING),
        ([FIRST], [Receipt("obsolete", 6, "t08", "r-1")], [REPLAY], State.OBSOLETE),
        ([FIRST], [Receipt("refused", 6, "t08", "r-1")], [REPLAY], State.OBSOLETE),
        ([FIRST, AGAIN], [], [REPLAY], State.PENDING),
        ([FIRST, AGAIN], [HANDLED], [REPLAY], State.PENDING),
        ([FIRST], [], [DISCARD], State.DISCARDED),
        ([FIRST], [], [REPLAY, DISCARD], State.DISCARDED),
        ([FIRST], [HANDLED], [REPLAY, DISCARD], State.HANDLED),
        ([FIRST, AGAIN], [], [DISCARD], State.PENDING),
        ([Death(5, "t05", "KeyError", spoke=True)], [], [], State.OBSOLETE),
        ([Death(1, "t05", "conflict")], [Receipt("handled", 2, "t08")], [], State.PENDING),
        ([Death(1, "t05", "delivery_limit", by_broker=True)], [Receipt("handled", 1, "t04")], [], State.HANDLED),
    ],
)
def test_each_state(deaths: list[Death], receipts: list[Receipt], acts: list[Act], state: State) -> None:
    """RULES 8.2: what each set of facts means, in every order of arrivals."""
    for order in permutations(deaths):
        assert standing(order, receipts, acts).state is state


def test_failed_again_is_counted() -> None:
    """docs/console.md §4: the count stands in the letter's word."""
    now = standing([FIRST, AGAIN, Death(15, "t15")], [], [REPLAY])
    assert (now.again, sentence(now.state, now.again)) == (2, "failed again twice")
    assert sentence(State.PENDING, 3) == "failed again 3 times"


@pytest.mark.parametrize(
    ("now", "letter", "refusal"),
    [
        (Standing(State.HANDLED), LETTER, "handled already"),
        (Standing(State.DISCARDED), LETTER, "was discarded"),
        (Standing(State.OBSOLETE), LETTER, "is obsolete"),
        (Standing(State.OBSOLETE), Subject("a.b", 5, "X", True, "", "", False), "on_dead said stands"),
        (Standing(State.PENDING), Subject("a.b", 1, "conflict", False, "", "", False), "is a conflict"),
        (Standing(State.REPLAYING, replay=REPLAY), LETTER, "being replayed since t06"),
    ],
)
def test_what_is_not_sent_says_why(now: Standing, letter: Subject, refusal: str) -> None:
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
