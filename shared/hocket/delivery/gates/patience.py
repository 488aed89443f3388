"""How long a subscription keeps deliveries in hand while its breaker is not closed (RULES 6.6). Pure."""

from hocket.resilience.breakers.transitions import width_of
from hocket.resilience.breakers.view import SharedBreaker

#: Seconds for which what is in hand waits; the broker takes back what is not settled in 30 minutes.
IN_HAND_SECONDS = 60.0


class Patience:
    """Decides how many deliveries the broker may hand to a subscription. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._since: float | None = None  # it is not closed

    def prefetch(self, shared: SharedBreaker, now: float) -> int | None:
        """None: as many as always. 0: none, the queue keeps them, and what is in hand is deferred. Else so many."""
        if shared.state == "closed":
            self._since = None
            return None
        if self._since is None:
            self._since = now
        if now - self._since < IN_HAND_SECONDS:
            return None
        if shared.state == "half-open":
            return width_of(shared.breaker, shared.row.step)
        return 0 if shared.wait(now) > 0 else 1
