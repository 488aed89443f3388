"""How often and when an attempt is repeated: a pure decision; chance is passed in."""

import random
from dataclasses import dataclass, field
from datetime import timedelta

from hocket.errors import DeclarationError, Reject

#: Attempts that a declaration may ask for.
MAX_ATTEMPTS = 1000
#: Longest wait that a declaration may ask for.
MAX_WAIT = timedelta(days=30)


def is_count(value: object) -> bool:
    """Whether a declaration's number is a whole number from 1."""
    return type(value) is int and value >= 1


def is_span(value: object) -> bool:
    """Whether a declaration's time is a `timedelta` that is not negative."""
    return isinstance(value, timedelta) and value >= timedelta(0)


def are_exceptions(value: object) -> bool:
    """Whether a declaration's errors are a tuple of exception classes."""
    return isinstance(value, tuple) and all(isinstance(each, type) and issubclass(each, Exception) for each in value)


@dataclass(frozen=True)
class Retry:
    """At most `attempts` runs, with exponential waits and full jitter between them.

    The wait after the n-th run lies anywhere between 0 and `first` * 2^(n-1), never above `longest`. Errors of `never`
    are not repeated. `DeclarationError` where the numbers cannot be meant.
    """

    attempts: int = 5
    first: timedelta = field(default=timedelta(seconds=1), kw_only=True)
    longest: timedelta = field(default=timedelta(seconds=60), kw_only=True)
    never: tuple[type[Exception], ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        if not is_count(self.attempts) or self.attempts > MAX_ATTEMPTS:
            raise DeclarationError(f"Retry(attempts={self.attempts!r}): say a whole number from 1 to {MAX_ATTEMPTS}")
        for name, wait in (("first", self.first), ("longest", self.longest)):
            if not is_span(wait) or wait > MAX_WAIT:
                raise DeclarationError(f"Retry({name}={wait!r}): say a timedelta from 0 to {MAX_WAIT.days} days")
        if self.first > self.longest:
            raise DeclarationError(
                f"Retry(first={self.first.total_seconds()} s, longest={self.longest.total_seconds()} s): "
                "the first wait is longer than the longest; raise longest"
            )
        if not are_exceptions(self.never):
            raise DeclarationError(f"Retry(never={self.never!r}): say a tuple of exception classes, like (ValueError,)")

    def wait(self, used: int, chance: random.Random) -> timedelta:
        """How long to wait after `used` runs (at least 1): uniform between 0 and the exponential bound."""
        longest = self.longest.total_seconds()
        bound = self.first.total_seconds()
        for _ in range(used - 1):
            if bound == 0 or bound >= longest:
                break
            bound *= 2
        return timedelta(seconds=chance.uniform(0, min(bound, longest)))

    def again(self, error: BaseException, used: int) -> bool:
        """Whether `error`, raised by the `used`-th run, is worth another run."""
        return used < self.attempts and not isinstance(error, (*self.never, Reject))
