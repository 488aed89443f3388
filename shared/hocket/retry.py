"""Retry: how often and when a failed attempt is repeated; the kit's own waits too. Pure: chance is passed in."""

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Self, TypeGuard

from hocket.errors import DeclarationError, Reject

#: Highest number of retries; the first attempt comes before them.
MAX_RETRIES = 999
#: Longest wait.
MAX_WAIT = timedelta(days=30)
#: Largest budget that is told, in seconds: thirty years.
MAX_BUDGET = 1e9
#: Largest factor between two waits.
MAX_FACTOR = 100.0


def is_count(value: object) -> TypeGuard[int]:
    """Whether a declared number is a whole number of at least 1."""
    return type(value) is int and value >= 1


def is_span(value: object) -> bool:
    """Whether a declared time is a `timedelta` that is not negative."""
    return isinstance(value, timedelta) and value >= timedelta(0)


def are_exceptions(value: object) -> bool:
    """Whether declared errors are a tuple of exception classes."""
    return isinstance(value, tuple) and all(isinstance(each, type) and issubclass(each, Exception) for each in value)


@dataclass(frozen=True, slots=True)
class Backoff:
    """Seconds between tries: `first`, multiplied by `factor` after each further failure, at most `longest`.

    The share `jitter` (0 to 1) of each wait is left to chance.
    """

    first: float
    longest: float
    jitter: float = 0.0
    factor: float = 2.0

    def bound(self, failures: int) -> float:
        """The longest wait after this many failures (at least 1)."""
        bound = self.first
        for _ in range(failures - 1):
            if bound == 0 or bound >= self.longest or self.factor == 1:
                break
            bound *= self.factor
        return min(bound, self.longest)

    def wait(self, failures: int, chance: random.Random) -> float:
        """How long to wait after this many failures (at least 1), chance included."""
        bound = self.bound(failures)
        return chance.uniform(bound * (1 - self.jitter), bound) if self.jitter else bound


@dataclass(frozen=True, kw_only=True)
class Retry:
    """A first attempt and at most `retries` further ones, with exponential backoff and jitter between them.

    `Retry(retries=5)` makes six attempts: the last one is "attempt 6 of 6". The longest wait after the n-th run is
    `first` * `factor`^(n-1), at most `longest`. With `jitter=True` the wait is random between 0 and that bound; with a
    number from 0 to 1, that share of the bound is random; with False, the wait is the bound. Only errors of the kinds
    in `on` are repeated, except those in `never`. A handler that exceeds its timeout raises `TimeoutError`. Raises
    `DeclarationError` for invalid arguments.
    """

    retries: int = 5
    first: timedelta = timedelta(seconds=1)
    factor: float = 2.0
    longest: timedelta = timedelta(seconds=60)
    jitter: bool | float = True
    on: tuple[type[Exception], ...] = (Exception,)
    never: tuple[type[Exception], ...] = ()

    def __new__(cls, *given: object, **named: object) -> Self:
        """Refuse the forms that counted attempts: `Retry(5)` and `Retry(attempts=5)`."""
        if given or "attempts" in named:
            count = given[0] if given else named["attempts"]
            form = f"Retry({count!r})" if given else f"Retry(attempts={count!r})"
            fewer = count - 1 if is_count(count) else 5
            raise DeclarationError(
                f"{form} counted attempts; name the retries that follow the first attempt: Retry(retries={fewer}) for "
                f"{fewer + 1} attempts"
            )
        return super().__new__(cls)

    def __post_init__(self) -> None:
        if type(self.retries) is not int or not 0 <= self.retries <= MAX_RETRIES:
            raise DeclarationError(f"Retry(retries={self.retries!r}): give a whole number from 0 to {MAX_RETRIES}")
        for name, wait in (("first", self.first), ("longest", self.longest)):
            if not is_span(wait) or wait > MAX_WAIT:
                raise DeclarationError(f"Retry({name}={wait!r}): give a timedelta from 0 to {MAX_WAIT.days} days")
        if self.first > self.longest:
            raise DeclarationError(
                f"Retry(first={self.first.total_seconds()} s, longest={self.longest.total_seconds()} s): "
                "the first wait is longer than the longest; raise longest="
            )
        if isinstance(self.factor, bool) or not _is_between(self.factor, 1, MAX_FACTOR):
            raise DeclarationError(f"Retry(factor={self.factor!r}): give a number from 1 to {MAX_FACTOR:g}")
        if not _is_between(self.jitter, 0, 1):
            raise DeclarationError(f"Retry(jitter={self.jitter!r}): give True, False or a number from 0 to 1")
        if not self.on or not are_exceptions(self.on):
            raise DeclarationError(f"Retry(on={self.on!r}): give a tuple of exception classes, as in (TimeoutError,)")
        if not are_exceptions(self.never):
            raise DeclarationError(
                f"Retry(never={self.never!r}): give a tuple of exception classes, as in (ValueError,)"
            )

    @property
    def attempts(self) -> int:
        """How often a delivery is tried at most: once, and once for each retry."""
        return 1 + self.retries

    def budget(self, timeout: timedelta) -> float:
        """The seconds that all attempts and the waits between them take at most, at most `MAX_BUDGET`.

        One attempt takes at most `timeout`.
        """
        backoff = self._backoff()
        waits = sum(backoff.bound(used) for used in range(1, self.attempts))
        return min(waits + self.attempts * timeout.total_seconds(), MAX_BUDGET)

    def bound(self, used: int) -> timedelta:
        """The longest wait after `used` runs (at least 1)."""
        return timedelta(seconds=self._backoff().bound(used))

    def wait(self, used: int, chance: random.Random) -> timedelta:
        """How long to wait after `used` runs (at least 1), chance included."""
        return timedelta(seconds=self._backoff().wait(used, chance))

    def _backoff(self) -> Backoff:
        first, longest = self.first.total_seconds(), self.longest.total_seconds()
        return Backoff(first, longest, float(self.jitter), self.factor)

    def again(self, error: BaseException, used: int) -> bool:
        """Whether there is another run after `error`, raised by the `used`-th one.

        A `CancelledError` that the handler itself caused, or a group of errors, counts as an `Exception`.
        """
        if used >= self.attempts or isinstance(error, (*self.never, Reject)):
            return False
        return isinstance(error, self.on) or (Exception in self.on and not isinstance(error, Exception))


def _is_between(value: object, least: float, most: float) -> bool:
    return isinstance(value, int | float) and least <= value <= most
