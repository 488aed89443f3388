"""The clock, which is passed in. It dates events and log lines; it decides nothing (RULES 11.1).

Between processes the store's clock decides, within a process the monotonic one. `KitClock` is carried by the monotonic
clock, so that a step of the machine's clock reaches nobody before `worker/clock_watch.py` has noticed it.
"""

import time
from datetime import UTC, datetime
from typing import Protocol

import orjson

#: Readings of the machine's clock beside the monotonic one, at most, and how short one must be to count at once.
READINGS, SURE_SECONDS = 10, 0.001


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


class KitClock:
    """A service's own clock: begun from the machine's, carried by the monotonic one, corrected only by `set_forward`.

    Where the machine counts the time for which it was suspended, this clock does too.
    """

    def __init__(self) -> None:
        self._base = time.time() - _carried()

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return datetime.fromtimestamp(self._base + _carried(), UTC)

    def monotonic(self) -> float:
        """Monotonic seconds, for intervals."""
        return time.monotonic()

    def machine_ahead(self) -> float:
        """Seconds by which the machine's clock is ahead of this one; negative: behind.

        A reading between which the process was preempted is repeated: it would look like a step.
        """
        best, ahead = float("inf"), 0.0
        for _ in range(READINGS):
            before, machine, after = _carried(), time.time(), _carried()
            if after - before < best:
                best, ahead = after - before, machine - after - self._base
            if best < SURE_SECONDS:
                break
        return ahead

    def set_forward(self, seconds: float) -> None:
        """Correct this clock; negative: back."""
        self._base += seconds


def _carried() -> float:
    """Monotonic seconds that go on while the machine is suspended, where the system has such a clock."""
    return time.clock_gettime(_CARRIER) if _CARRIER is not None else time.monotonic()


_CARRIER: int | None = getattr(time, "CLOCK_BOOTTIME", None)


def rfc3339(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds: the form of the envelope's `time` and of every receipt."""
    if moment.tzinfo is UTC and moment.microsecond:  # a tenth of the time that `isoformat` takes
        return orjson.dumps(moment, option=orjson.OPT_UTC_Z)[1:-1].decode()
    return moment.astimezone(UTC).isoformat(timespec="microseconds")[:-6] + "Z"
