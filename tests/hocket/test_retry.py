"""Retry: how often and when a failed attempt is repeated."""

import asyncio
import random
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.errors import DeclarationError, Reject
from hocket.retry import MAX_BUDGET, MAX_FACTOR, MAX_RETRIES, Retry

MICROSECOND = timedelta(microseconds=1)
SPANS = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30))


@given(st.integers(0, MAX_RETRIES), SPANS, SPANS, st.integers(1, 10**6), st.integers())
def test_a_wait_keeps_its_bounds(retries: int, one: timedelta, other: timedelta, used: int, seed: int) -> None:
    """A wait is between 0 and first * 2^(used-1), and at most the longest, however many runs were used."""
    first, longest = sorted((one, other))
    wait = Retry(retries=retries, first=first, longest=longest).wait(used, random.Random(seed))
    assert timedelta(0) <= wait <= longest
    assert wait // MICROSECOND <= first // MICROSECOND * 2 ** (used - 1)


@given(SPANS, SPANS, st.floats(1, MAX_FACTOR), st.integers(1, 10**6))
def test_bounds_never_shrink(one: timedelta, other: timedelta, factor: float, used: int) -> None:
    """The bound after one more run is as long or longer, at most `factor` times, between first and longest."""
    first, longest = sorted((one, other))
    retry = Retry(first=first, factor=factor, longest=longest)
    before, after = retry.bound(used), retry.bound(used + 1)
    assert first <= before <= after <= longest
    assert after <= before * factor + timedelta(microseconds=200)  # a bound is rounded to microseconds


@given(SPANS, st.floats(0, 1), st.integers(1, 100), st.integers())
def test_jitter_takes_its_share(longest: timedelta, jitter: float, used: int, seed: int) -> None:
    """With a number for jitter that share of the bound is random; without jitter the wait is the bound."""
    retry = Retry(first=longest / 7, longest=longest, jitter=jitter)
    bound, little = retry.bound(used), timedelta(microseconds=1)
    assert bound * (1 - jitter) - little <= retry.wait(used, random.Random(seed)) <= bound + little
    assert Retry(first=longest / 7, longest=longest, jitter=False).wait(used, random.Random(seed)) == bound


def test_jitter_is_full() -> None:
    """Waits spread over the whole range, so that a thousand subscribers do not retry at the same time."""
    retry, chance = Retry(first=timedelta(seconds=1)), random.Random(3)
    waits = [retry.wait(3, chance).total_seconds() for _ in range(1000)]
    assert min(waits) < 0.1
    assert max(waits) > 3.9
    assert 1.8 < sum(waits) / 1000 < 2.2


@given(st.integers(0, 50), st.integers(1, 60))
def test_retries_follow_the_first_attempt(retries: int, used: int) -> None:
    """Five retries are six attempts; a run is repeated while retries are left."""
    assert Retry(retries=retries).again(ValueError(), used) == (used <= retries)
    assert Retry(retries=retries).attempts == retries + 1
    assert (Retry().retries, Retry().attempts) == (5, 6)


@pytest.mark.parametrize(
    ("given_", "named", "sentence"),
    [
        ((5,), {}, r"Retry\(5\) counted attempts; .*: Retry\(retries=4\) for 5 attempts"),
        ((), {"attempts": 3}, r"Retry\(attempts=3\) counted attempts; .*: Retry\(retries=2\) for 3 attempts"),
        (("x",), {}, r"Retry\('x'\) counted attempts; .*: Retry\(retries=5\) for 6 attempts"),
    ],
)
def test_a_number_of_attempts_is_refused(given_: tuple[Any, ...], named: dict[str, Any], sentence: str) -> None:
    """A bare number was taken for attempts by some and for retries by others; the sentence says what to write."""
    with pytest.raises(DeclarationError, match=sentence):
        Retry(*given_, **named)


def test_some_errors_are_never_repeated() -> None:
    """Errors of `never`, their subclasses and `Reject` are not repeated."""
    retry = Retry(never=(LookupError,))
    assert not retry.again(KeyError(), 1)
    assert not retry.again(Reject("no such card"), 1)
    assert retry.again(ValueError(), 1)
    assert retry.again(TimeoutError(), 1)


def test_only_errors_of_on_are_repeated() -> None:
    """With `on`, other errors are not repeated; `never` has precedence."""
    retry = Retry(on=(OSError, LookupError), never=(KeyError,))
    assert retry.again(ConnectionError(), 1)
    assert retry.again(TimeoutError(), 1)
    assert retry.again(IndexError(), 1)
    assert not retry.again(KeyError(), 1)
    assert not retry.again(ValueError(), 1)
    assert not retry.again(asyncio.CancelledError(), 1)
    assert Retry().again(asyncio.CancelledError(), 1)
    assert not retry.again(ConnectionError(), retry.attempts)


def test_a_retry_is_a_value() -> None:
    """Equal declarations are equal, can be hashed and cannot be changed."""
    assert Retry() == Retry(retries=5)
    assert len({Retry(retries=3), Retry(retries=3)}) == 1
    with pytest.raises(AttributeError):
        Retry(retries=3).retries = 4  # type: ignore[misc]  # what must not be possible


@pytest.mark.parametrize(
    "words",
    [
        {"retries": -1},
        {"retries": True},
        {"retries": "5"},
        {"retries": MAX_RETRIES + 1},
        {"first": timedelta(seconds=-1)},
        {"first": 1.0},
        {"longest": timedelta(days=31)},
        {"first": timedelta(seconds=5), "longest": timedelta(seconds=4)},
        {"factor": 0.5},
        {"factor": True},
        {"factor": MAX_FACTOR * 2},
        {"factor": float("nan")},
        {"jitter": 1.5},
        {"jitter": -0.1},
        {"jitter": "full"},
        {"on": ()},
        {"on": TimeoutError},
        {"never": ValueError},
        {"never": (KeyboardInterrupt,)},
    ],
)
def test_invalid_arguments_are_refused(words: dict[str, Any]) -> None:
    """Invalid arguments raise `DeclarationError`; the message says what to give."""
    with pytest.raises(DeclarationError, match=r"give|raise"):
        Retry(**words)


def test_the_budget_is_all_attempts_and_waits() -> None:
    """RULES 5.8: an undo that is open for longer is late; it is bounded, whatever a team declares."""
    minute = timedelta(minutes=1)
    assert Retry(retries=0).budget(minute) == 60
    patient = Retry(retries=3, first=timedelta(seconds=1), factor=2.0, longest=timedelta(seconds=3))
    assert patient.budget(minute) == 4 * 60 + 1 + 2 + 3
    assert Retry(retries=999, first=timedelta(days=30), longest=timedelta(days=30)).budget(timedelta.max) == MAX_BUDGET
