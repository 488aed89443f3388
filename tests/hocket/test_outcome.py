"""How an attempt ends."""

from dataclasses import FrozenInstanceError

import pytest

from hocket.outcome import Attempt, Bury, Done, Word, with_cause, words_beside


def test_the_receipts_words() -> None:
    """docs/words.md#how-an-attempt-ends: code, receipts and pages use the same words."""
    assert [word.value for word in Word] == [
        "handled", "retry", "deferred", "dead", "duplicate", "refused", "obsolete", "stale",
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


@pytest.mark.parametrize(
    ("cause", "error", "line"),
    [
        ("ValueError", "ValueError", "ValueError"),
        ("ValueError", "ValueError: ", "ValueError"),
        ("ValueError", "", "ValueError"),
        ("ValueError", "ValueError: no price", "ValueError: no price"),
        ("KeyError", "'region'", "KeyError: 'region'"),
        ("timeout", "TimeoutError", "timeout: TimeoutError"),
        ("rejected", "sold out", "rejected: sold out"),
        ("Value", "ValueError: no", "Value: ValueError: no"),
    ],
)
def test_cause_and_error_stand_in_a_line_each_once(cause: str, error: str, line: str) -> None:
    """An error's text begins with its class, which is its cause."""
    assert with_cause(cause, error) == line
    assert words_beside(cause, error) == line.removeprefix(cause).removeprefix(": ")
