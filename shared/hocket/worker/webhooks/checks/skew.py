"""By how much signed timestamps differ from our clock, and when that is our clock's fault (RULES 12.8). Pure."""

from collections import deque
from collections.abc import Callable
from statistics import median

#: Pushes that the median is of, and the fewest that make one.
SAMPLES, FEWEST = 101, 11
#: Median in seconds above which readiness warns.
MEDIAN_SECONDS = 60.0
#: Seconds for which a push counts: a service that is not ready may get no more, and its clock may be right again.
COUNTS_SECONDS = 600.0


class SkewWatch:
    """Keeps the skew of the last authentic pushes of all sources; `now` is in monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: deque[tuple[float, float]] = deque(maxlen=SAMPLES)  # when it came, and its skew

    def add(self, seconds: float) -> None:
        """One more: seconds by which our clock is ahead of the sender's."""
        self._last.append((self._now(), seconds))

    def reasons(self) -> list[str]:
        """Why the service is not ready."""
        since = self._now() - COUNTS_SECONDS
        while self._last and self._last[0][0] < since:
            self._last.popleft()
        if len(self._last) < FEWEST or abs(middle := median(skew for _, skew in self._last)) <= MEDIAN_SECONDS:
            return []
        way = "ahead of" if middle > 0 else "behind"
        sentence = f"the clock of this service is {abs(middle):.0f} s {way} those of its webhooks' senders (median)"
        return [f"{sentence}: set it right, or their webhooks will be refused"]
