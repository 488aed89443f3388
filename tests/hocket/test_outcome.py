"""How an attempt ends."""

from dataclasses import FrozenInstanceError

import pytest

from hocket.outcome import Attempt, Bury, Done, Word


def test_the_receipts_words() -> None:
    """docs/words.md#how-an-attempt-ends: code, receipts and pages use the same words."""
    assert [word.value for word in Word] == [
        "handled", "retry", "deferred", "dead", "duplicate", "refused", "obsolete",
    ]  # fmt: skip


def test_an_outcome_is_a_value() -> None:
    """Equal outcomes are equal and cannot be changed after the decision."""
    assert Done(("a",)) == Done(("a",))
    assert Bury("rejected") == Bury("rejected", row=True, began=False)
    with pytest.raises(FrozenInstanceError):
        Done().said = ("b",)  # type: ignore[misc]  # what must not be possible


def test_a_stack_is_not_in_the_repr() -> None:
    """The stack of an attempt may quote data, so it is not in the `repr`."""
    assert "secret" not in repr(Attempt(1, "a", "b", "retry", trace="secret"))
