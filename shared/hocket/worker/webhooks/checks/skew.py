"""By how much signed timestamps differ from our clock, and when that is our clock's fault (RULES 12.8). Pure."""

from collections import deque
from statistics import median

#: Pushes that the median is of, and the fewest that make one.
SAMPLES, FEWEST = 101, 11
#: Median in seconds above which readiness warns.
MEDIAN_SECONDS = 60.0


class SkewWatch:
    """Keeps the skew of the last authentic pushes of all sources."""

    def __init__(self) -> None:
        self._last: deque[float] = deque(maxlen=SAMPLES)

    def add(self, seconds: float) -> None:
        """One more: seconds by which our clock is ahead of the sender's."""
        self._last.append(seconds)

    def reasons(self) -> list[str]:
        """Why the service is not ready."""
        if len(self._last) < FEWEST or abs(middle := median(self._last)) <= MEDIAN_SECONDS:
            return []
        way = "ahead of" if middle > 0 else "behind"
        sentence = f"the clock of this service is {abs(middle):.0f} s {way} those of its webhooks' senders (median)"
        return [f"{sentence}: set it right, or their webhooks will be refused"]
