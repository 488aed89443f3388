"""Time, passed in: nobody else in the kit asks the machine what time it is."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

#: Moments whose text is remembered: an attempt writes each of its two several times.
KNOWN_MOMENTS = 256


class Clock(Protocol):
    """What time it is, in two ways: for people and for intervals."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for intervals."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The moment, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back, for intervals."""
        return time.monotonic()


@lru_cache(maxsize=KNOWN_MOMENTS)
def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, as the envelope's `time` and every receipt carries it."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
