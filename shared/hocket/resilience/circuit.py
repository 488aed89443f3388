"""The state of one subscription's pause in one process: closed, open or half-open (RULES 6.11). Pure.

Time is monotonic seconds and is passed in.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hocket.breaker import Breaker

#: Failed probes of one delivery that use no attempt; each further one does.
PROBES_PER_DELIVERY = 20
#: Deliveries whose failed probes are counted; the oldest is forgotten first.
MAX_PROBED = 1024
#: Seconds until the next try, while a probe is running.
PROBE_POLL_SECONDS = 1.0
State = Literal["closed", "half-open", "open"]


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """Permission for one outside call. It is returned once: `succeeded`, `failed` or `released`."""

    probe: bool
    key: bytes
    period: int  # in which it was given: a closed period, or what a pause of the process has left of one


class Circuit:
    """One pause in one process. Calls `changed(state)` on each change."""

    def __init__(self, breaker: Breaker, changed: Callable[[State], None] = lambda _: None) -> None:
        self.breaker = breaker
        self._changed = changed
        self._state: State = "closed"
        self._period = 0  # number of closed periods and of pauses so far
        self._failures = 0  # consecutive ones, in this closed period
        self._open_until = 0.0
        self._probe: Permit | None = None
        self._failed_probes: dict[bytes, int] = {}  # by delivery

    @property
    def state(self) -> State:
        """closed, half-open (a probe is running) or open."""
        return self._state

    def admit(self, now: float, key: bytes) -> Permit | None:
        """A permit for an outside call of delivery `key`; None: not now."""
        if self._state == "closed":
            return Permit(False, key, self._period)
        if self._state == "open" and now >= self._open_until:
            self._probe = Permit(True, key, self._period)
            self._move("half-open")
            return self._probe
        return None

    def wait(self, now: float) -> float:
        """Seconds until `admit` may give a permit: 0 when closed, `PROBE_POLL_SECONDS` while a probe is running."""
        if self._state == "closed":
            return 0.0
        if self._state == "half-open":
            return PROBE_POLL_SECONDS
        return max(0.0, self._open_until - now)

    def succeeded(self, permit: Permit, now: float, took: float) -> None:
        """The call succeeded after `took` seconds. If that is more than `slow`, it counts as a failure."""
        slow = self.breaker.slow
        if slow is not None and took > slow.total_seconds():
            self.failed(permit, now)
            return
        if permit is self._probe:
            self._probe = None
            self._failed_probes.pop(permit.key, None)
            self._period += 1
            self._failures = 0
            self._move("closed")
        elif self._state == "closed" and permit.period == self._period:
            self._failures = 0

    def failed(self, permit: Permit, now: float) -> bool:
        """The call failed. True: this uses an attempt of the delivery. False: the delivery is deferred (RULES 6.1).

        A call that began while the breaker was closed and fails while it is not is deferred and changes nothing.
        """
        if permit is self._probe:
            self._probe = None
            self._open(now)
            return self._count_failed_probe(permit.key)
        if self._state != "closed":
            return False
        if permit.period == self._period:
            self._failures += 1
            if self._failures >= self.breaker.after:
                self._open(now)
        return True

    def released(self, permit: Permit, now: float) -> None:
        """The permit was not used. If it was a probe, another delivery may probe at once."""
        if permit is self._probe:
            self._probe = None
            self._open_until = now
            self._move("open")

    def paused(self, now: float, seconds: float) -> None:
        """This process did not run for a while: no call that was under way is a verdict (RULES 11.6)."""
        self._period += 1
        if self._probe is not None:
            self.released(self._probe, now)

    def _count_failed_probe(self, key: bytes) -> bool:
        """Count a failed probe of this delivery; True: it had more than `PROBES_PER_DELIVERY`."""
        count = self._failed_probes.pop(key, 0) + 1
        self._failed_probes[key] = count
        if len(self._failed_probes) > MAX_PROBED:
            del self._failed_probes[next(iter(self._failed_probes))]
        return count > PROBES_PER_DELIVERY

    def _open(self, now: float) -> None:
        self._open_until = now + self.breaker.open_for.total_seconds()
        self._move("open")

    def _move(self, state: State) -> None:
        self._state = state
        self._changed(state)
