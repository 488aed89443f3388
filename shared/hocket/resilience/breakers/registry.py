"""The breakers of one service in one process, by name; and rows for code that runs without a service."""

from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Protocol

from hocket.breaker import Breaker
from hocket.clock import Clock
from hocket.resilience.breakers.row import BreakerRow, BreakerRows, Decide, Sight
from hocket.resilience.breakers.view import SharedBreaker
from hocket.resilience.circuit import Circuit

#: Whatever can be shut: breakers, and the pauses of subscriptions (RULES 6.11).
Shown = SharedBreaker | Circuit


class StateListener(Protocol):
    """Called when a breaker changes its state."""

    def __call__(self, name: str, state: str) -> None:
        """Breaker `name` is now in `state`."""
        ...


@dataclass
class Breakers:
    """The breakers of one service in this process. `shown` has pauses of subscriptions beside them."""

    rows: BreakerRows
    clock: Clock
    changed: StateListener
    chance: Random = field(default_factory=Random)
    shown: dict[str, Shown] = field(default_factory=dict)
    _known: dict[str, SharedBreaker] = field(default_factory=dict)

    def of(self, breaker: Breaker) -> SharedBreaker:
        """The state of this breaker in this process."""
        found = self._known.get(breaker.name)
        if found is None:
            name = breaker.name
            found = SharedBreaker(breaker, self.rows, self.clock, self.chance, lambda state: self.changed(name, state))
            self._known[name] = self.shown[name] = found
        return found

    def all(self) -> list[SharedBreaker]:
        """Those that were used or declared here."""
        return list(self._known.values())


class OwnRows:
    """Rows in memory that nobody shares: of a test, or of code that runs without a service."""

    least = 0.0
    believed = float("inf")

    def __init__(self, clock: Callable[[], float], boot: str = "alone") -> None:
        self.boot = boot
        self._clock = clock
        self._rows: dict[str, BreakerRow] = {}

    def news(self) -> tuple[int, float]:
        """Nobody else changes anything."""
        return 0, self._clock()

    async def decide(self, name: str, decide: Decide) -> Sight:
        """Change one row."""
        row, now = self._rows.get(name, BreakerRow(name)), self._clock()
        self._rows[name] = decided = decide(Sight(row, now, (self.boot,)))
        return Sight(decided, now, (self.boot,))


def alone(clock: Clock) -> Breakers:
    """Breakers of code that runs without a service."""
    return Breakers(OwnRows(clock.monotonic), clock, lambda name, state: None)
