"""The checker names each kind of broken promise; it is what a crash run stands on."""

import copy
from collections.abc import Callable

import pytest

from tests.crash import refused_commits
from tests.crash.checker import Seen, judge

SALES = {"a": False, "b": True}


def books() -> Seen:
    """Everything as it must be: sale a went through, sale b was refused; one charge was called twice."""
    seen = Seen()
    said = {
        "a": ("sale.rung", "card.charged", "stock.audited", "sale.archived", "stock.taken"),
        "b": ("sale.rung", "card.charged", "stock.audited", "sale.archived", "stock.refused", "card.refunded"),
    }
    for sale, types in said.items():
        for type in types:
            seen.events[sale, type] = [f"{sale} {type}"]
    for sale, service, what in (
        ("a", "till", "rung"), ("a", "bank", "charged"), ("a", "shelf", "taken"), ("a", "till", "closed"),
        ("b", "till", "rung"), ("b", "bank", "charged"), ("b", "shelf", "refused"), ("b", "till", "closed"),
        ("b", "bank", "refunded"),
    ):  # fmt: skip
        seen.effects[sale, service, what] = 1
    seen.calls["a", "charge"] = ["k1", "k1"]
    seen.calls["b", "charge"] = ["k2"]
    seen.calls["b", "refund"] = ["k3"]
    return seen


def test_good_books_are_clean() -> None:
    """Nothing lost, nothing doubled; a call repeated under its own key is no fault."""
    verdict = judge(books(), SALES, 5)
    assert verdict.clean
    assert verdict.line() == (
        "kills 5 events 11 lost 0 duplicated effects 0 outside calls repeated 1 with stable key 1"
    )


def _lose_event(seen: Seen) -> None:
    del seen.events["a", "stock.taken"]


def _say_twice(seen: Seen) -> None:
    seen.events["a", "stock.taken"].append("another id")


def _lose_effect(seen: Seen) -> None:
    del seen.effects["b", "bank", "refunded"]


def _do_twice(seen: Seen) -> None:
    seen.effects["b", "bank", "refunded"] = 2


def _never_call(seen: Seen) -> None:
    del seen.calls["b", "refund"]


def _other_key(seen: Seen) -> None:
    seen.calls["a", "charge"] = ["k1", "k9"]


def _refund_unasked(seen: Seen) -> None:
    seen.effects["a", "bank", "refunded"] = 1


def _bury(seen: Seen) -> None:
    seen.letters["a", "shelf.take", "TimeoutError"].add("letter")


@pytest.mark.parametrize(
    ("fault", "lost", "doubled", "strange"),
    [
        (_lose_event, 1, 0, 0),
        (_say_twice, 0, 1, 0),
        (_lose_effect, 1, 0, 0),
        (_do_twice, 0, 1, 0),
        (_never_call, 1, 0, 0),
        (_other_key, 0, 0, 1),
        (_refund_unasked, 0, 0, 1),
        (_bury, 0, 0, 1),
    ],
)
def test_each_fault_is_named(fault: Callable[[Seen], None], lost: int, doubled: int, strange: int) -> None:
    """One planted fault gives one finding of its kind, and the verdict is not clean."""
    seen = copy.deepcopy(books())
    fault(seen)
    verdict = judge(seen, SALES, 1)
    assert (len(verdict.lost), len(verdict.doubled), len(verdict.strange)) == (lost, doubled, strange)
    assert not verdict.clean


def test_a_copy_of_the_same_event_is_no_double() -> None:
    """The broker may hold an event twice under one identity; readers know it by that."""
    seen = books()
    seen.events["a", "stock.taken"] *= 2
    verdict = judge(seen, SALES, 1)
    assert verdict.clean
    assert verdict.copies == 1


def test_a_refused_commit_ends_in_one_letter() -> None:
    """RULES 3.2: where commits are refused by plan, each such sale is due one letter, of that handler."""
    every = next(n for n in range(2, 1000) if refused_commits.chosen("a", n) and not refused_commits.chosen("b", n))
    key = ("a", refused_commits.SUBSCRIPTION, refused_commits.CAUSE)
    seen = books()
    assert judge(seen, SALES, 1, every).lost == [f"letter of {refused_commits.SUBSCRIPTION} for a"]
    seen.letters[key].add("letter")
    verdict = judge(seen, SALES, 1, every)
    assert verdict.clean
    assert verdict.letters == 1
    seen.letters[key].add("another")
    assert len(judge(seen, SALES, 1, every).doubled) == 1
    assert len(judge(seen, SALES, 1).strange) == 1
    seen.letters["a", refused_commits.SUBSCRIPTION, "StoreError"].add("third")
    assert len(judge(seen, SALES, 1, every).strange) == 1
