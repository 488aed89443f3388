"""How many deliveries of one subscription may begin: its breaker, its pause, and what blocks the whole service."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import NamedTuple

from hocket.broker.port import Delivery
from hocket.clock import Clock
from hocket.declarations.subscription import Subscription
from hocket.delivery.decode import SAID
from hocket.outcome import Again
from hocket.resilience.breakers.registry import Shown
from hocket.resilience.breakers.row import SHUT
from hocket.resilience.breakers.view import SHORT_POLL_SECONDS, SharedBreaker
from hocket.resilience.circuit import Circuit

#: Seconds after which the reason of a pause (full outbox, failing store) is checked again.
PAUSE_CHECK_SECONDS = 0.2


class Room(NamedTuple):
    """How many deliveries may begin now, and seconds until the next look where none may (None: when woken)."""

    many: int
    wait: float | None = None
    noted: bool = False  # what calls nobody may be taken all the same: the failures on the queue of an undo


@dataclass(frozen=True, slots=True)
class Gate:
    """Decides what one subscription takes. `blocked`: the service takes nothing at all.

    The queue of an undo has failures, which call nobody, beside the orders to undo. While its breaker is shut all of it
    is taken, and the orders are deferred until the period is over, so that a failure behind them reaches its step at
    once (RULES 6.6). While the ramp gives no place, the failures in hand are taken and the orders wait.
    """

    subscription: Subscription
    prefetch: int
    shared: SharedBreaker | None
    pause: Callable[[], Circuit]
    blocked: Callable[[], bool]
    clock: Clock

    @property
    def undoes(self) -> bool:
        """Whether this is the queue of an undo."""
        return self.subscription.undo is not None

    def room(self, in_progress: int, waiting: bool) -> Room:
        """What may begin, beside so many that have begun; `waiting`: there is something that would."""
        if self.blocked():
            return Room(0, PAUSE_CHECK_SECONDS)
        now = self.clock.monotonic()
        pause = self.pause()
        if pause.state != "closed":
            if (wait := pause.wait(now)) > 0:
                return Room(0, wait, self.undoes)
            if in_progress:
                return Room(0, PAUSE_CHECK_SECONDS, self.undoes)
        many = self.prefetch if pause.state == "closed" else 1
        if self.shared is None or self.instead() is not None:
            return Room(many)
        allowed, wait = self.shared.admits(now, in_progress, self.subscription.queue, waiting)
        if allowed is None:
            return Room(many)
        return Room(min(allowed, many)) if allowed else Room(0, wait, self.undoes)

    def instead(self) -> Again | None:
        """The outcome of what would call now: an order to undo is deferred while the breaker is shut; None: it runs.

        For the last moment of a period it waits in hand: deferred so shortly it would be back before the end.
        """
        if not self.undoes or self.shared is None or self.shared.state not in SHUT:
            return None
        wait = self.shared.wait(self.clock.monotonic())
        return shut_out(self.shared, wait) if wait > SHORT_POLL_SECONDS else None

    def parked(self) -> bool:
        """Whether its breaker is open, or it is paused, and that period is not over: the buffer waits."""
        now = self.clock.monotonic()
        return any(each.state in SHUT and each.wait(now) > 0 for each in self._waited_for())

    def _waited_for(self) -> Iterator[Shown]:
        if self.shared is not None and not self.undoes:
            yield self.shared
        yield self.pause()


def shut_out(shared: SharedBreaker, wait: float) -> Again:
    """A delivery is deferred because this breaker is not closed."""
    why = f"breaker {shared.breaker.name} is {shared.state}"
    return Again(timedelta(seconds=wait), deferred=True, cause="breaker", error=why)


def is_noted(delivery: Delivery) -> bool:
    """Whether a delivery on the queue of an undo is a failure as it was said, and no order to undo."""
    return delivery.exchange in SAID
