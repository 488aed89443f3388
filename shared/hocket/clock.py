"""The clock, which is passed in: what decides by the time takes it from here."""

import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol

#: Moments whose text is cached: an attempt writes each of its two moments several times.
KNOWN_MOMENTS = 256


class Clock(Protocol):
    """Wall-clock time, and monotonic time for intervals."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        ...

    def monotonic(self) -> float:
        """Monotonic seconds, for intervals."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Monotonic seconds, for intervals."""
        return time.monotonic()


@lru_cache(maxsize=KNOWN_MOMENTS)
def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: the form of the envelope's `time` and of every receipt."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
