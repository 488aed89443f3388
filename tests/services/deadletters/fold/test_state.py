"""A letter's state is a function of the set of its facts and of nothing else."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deadletters.fold.state import Act, Death, Receipt, State, sentence, standing

FIRST = Death(5, "t05", "KeyError")
AGAIN = Death(10, "t10", "KeyError")
REPLAY = Act("replay", "t06", (5, "t05"), 6, "r-1", sent_at="t06")
DISCARD = Act("discard", "t07", (5, "t05"))
HANDLED = Receipt("handled", 6, "t08", "r-1")

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
        st.sampled_from(["handled", "obsolete", "refused", "stale", "retry", "duplicate"]),
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
        ([FIRST], [Receipt("stale", 6, "t08", "r-1")], [REPLAY], State.OBSOLETE),
        ([FIRST], [Receipt("stale", 5, "t04")], [], State.PENDING),
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
