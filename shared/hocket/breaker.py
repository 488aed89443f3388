"""Breaker: the declaration of one outside dependency: guard, bulkhead and rate limit (RULES 6).

How its state changes stands in `resilience/breakers/transitions.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from hocket.errors import Control, DeclarationError
from hocket.retry import are_exceptions, is_count, is_span

#: Longest time for which a breaker opens by itself or because the outside asks for it.
MAX_OPEN = timedelta(days=1)
#: Longest window in which calls are counted.
MAX_WINDOW = timedelta(hours=1)
#: Most calls at once, and most calls in a second or a minute.
MAX_LIMIT = 1_000_000
#: Longest name, in characters: it stands in metrics, facts and pages.
MAX_NAME = 200
#: Widest step of the ramp.
MAX_RAMP = 1024


@dataclass(frozen=True)
class Breaker:
    """One outside dependency: guard, bulkhead and rate limit, shared by all replicas of the service.

    It opens after `after` failures in a row, or when at least `rate` of at least `volume` calls in `window` failed. A
    failure is an error of the kinds in `failures`, a call slower than `slow`, or one that is cut after `within`
    (default: the handler's time-out). An error that carries an HTTP status counts only for 408, 425, 429 and 5xx;
    `ill` judges errors of `failures` instead: a timedelta means "ill, and closed to us for so long".

    It stays open for `open_for`, doubled for each opening soon after a close, at most `longest`; then 1, 2, 4 and up to
    `ramp` calls at once try. `in_flight` bounds the calls at once, `per_second` or `per_minute` the calls that begin.
    Raises `DeclarationError` for invalid arguments.
    """

    name: str
    failures: tuple[type[Exception], ...] = field(kw_only=True)
    after: int = field(default=5, kw_only=True)
    rate: float | None = field(default=None, kw_only=True)
    volume: int = field(default=20, kw_only=True)
    window: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    slow: timedelta | None = field(default=None, kw_only=True)
    within: timedelta | None = field(default=None, kw_only=True)
    open_for: timedelta = field(default=timedelta(seconds=30), kw_only=True)
    longest: timedelta = field(default=timedelta(minutes=10), kw_only=True)
    ramp: int = field(default=32, kw_only=True)
    in_flight: int | None = field(default=None, kw_only=True)
    per_second: int | None = field(default=None, kw_only=True)
    per_minute: int | None = field(default=None, kw_only=True)
    ill: Callable[[Exception], bool | timedelta] | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise DeclarationError(
                f"Breaker({self.name!r}): give a name of at most {MAX_NAME} printable characters, as in "
                "Breaker('card-api', ...)"
            )
        self._check_failures()
        self._check_opening()
        self._check_times()
        self._check_limits()

    def _refuse(self, argument: str, way_out: str) -> DeclarationError:
        return DeclarationError(f"Breaker({self.name!r}, {argument}={getattr(self, argument)!r}): {way_out}")

    def _check_failures(self) -> None:
        if not self.failures or not are_exceptions(self.failures):
            raise self._refuse(
                "failures",
                "give a tuple of exception classes that mean the dependency does not work, as in "
                "failures=(TimeoutError, ConnectionError)",
            )
        if any(issubclass(each, Control) for each in self.failures):
            raise DeclarationError(
                f"Breaker({self.name!r}): Reject and Defer are a handler's decisions, not failures; remove them from "
                "failures="
            )
        if self.ill is not None and not callable(self.ill):
            raise self._refuse("ill", "give a function of one error that returns a bool or a timedelta")

    def _check_opening(self) -> None:
        if not is_count(self.after):
            raise self._refuse("after", "give a whole number of at least 1")
        if self.rate is not None and (type(self.rate) not in (int, float) or not 0 < self.rate <= 1):
            raise self._refuse("rate", "give a part of the calls, above 0 and at most 1, or leave it out")
        if not is_count(self.volume):
            raise self._refuse("volume", "give a whole number of at least 1")
        if not is_span(self.window) or not timedelta(0) < self.window <= MAX_WINDOW:
            raise self._refuse("window", "give a timedelta above 0, up to an hour")
        if not is_count(self.ramp) or self.ramp > MAX_RAMP:
            raise self._refuse("ramp", f"give a whole number from 1 to {MAX_RAMP}")

    def _check_times(self) -> None:
        for name in ("open_for", "longest"):
            value = getattr(self, name)
            if not is_span(value) or not timedelta(0) < value <= MAX_OPEN:
                raise self._refuse(name, "give a timedelta above 0, up to a day")
        if self.longest < self.open_for:
            raise self._refuse("longest", f"it is shorter than open_for={self.open_for!r}; give at least as much")
        for name in ("slow", "within"):
            value = getattr(self, name)
            if value is not None and (not is_span(value) or value == timedelta(0)):
                raise self._refuse(name, "give a timedelta above 0, or leave it out")
        if self.slow is not None and self.within is not None and self.slow >= self.within:
            raise self._refuse("slow", f"no call lasts longer than within={self.within!r}; give less than that")

    def _check_limits(self) -> None:
        for name in ("in_flight", "per_second", "per_minute"):
            value = getattr(self, name)
            if value is not None and (not is_count(value) or value > MAX_LIMIT):
                raise self._refuse(name, f"give a whole number from 1 to {MAX_LIMIT}, or leave it out")
        if self.per_second is not None and self.per_minute is not None and self.per_minute > 60 * self.per_second:
            raise self._refuse(
                "per_minute", f"per_second={self.per_second} never lets so many begin; give less, or leave one out"
            )


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and value.isprintable()
