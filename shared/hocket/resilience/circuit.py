"""The state of one breaker in one process: closed, open or half-open, and who may probe (RULES 6)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from hocket.breaker import Breaker

#: Failed probes of one delivery that cost it no attempt; from then on each failure counts (RULES 6.1).
PROBES_PER_DELIVERY = 20
#: Deliveries whose failed probes a circuit remembers; the oldest is forgotten first.
MAX_PROBED = 1024
#: Seconds to wait for the verdict of a probe that is out.
PROBE_LOOK_SECONDS = 1.0
State = Literal["closed", "half-open", "open"]


@dataclass(frozen=True, slots=True, eq=False)
class Permit:
    """The permission for one call to the outside; returned once, with how the call ended."""

    probe: bool
    key: bytes
    period: int  # which closed period it belongs to


class Circuit:
    """The state of one breaker in one process. `changed(state)` is called on each change."""

    def __init__(self, breaker: Breaker, changed: Callable[[State], None] = lambda _: None) -> None:
        self.breaker = breaker
        self._changed = changed
        self._state: State = "closed"
        self._period = 0  # closed periods seen
        self._failures = 0  # in a row, in this closed period
        self._until = 0.0  # when the open period is over
        self._probe: Permit | None = None
        self._probed: dict[bytes, int] = {}  # failed probes by delivery

    @property
    def state(self) -> State:
        """closed, half-open (a probe is out) or open."""
        return self._state

    def admit(self, now: float, key: bytes) -> Permit | None:
        """The permit to call the outside for delivery `key`; None where no call is allowed now."""
        if self._state == "closed":
            return Permit(False, key, self._period)
        if self._state == "open" and now >= self._until:
            self._probe = Permit(True, key, self._period)
            self._move("half-open")
            return self._probe
        return None

    def wait(self, now: float) -> float:
        """Seconds until a call may be admitted: 0 when closed, `PROBE_LOOK_SECONDS` while a probe is out."""
        if self._state == "closed":
            return 0.0
        if self._state == "half-open":
            return PROBE_LOOK_SECONDS
        return max(0.0, self._until - now)

    def succeeded(self, permit: Permit, now: float, took: float) -> None:
        """The call succeeded after `took` seconds; a call slower than `slow` counts as a failure of the outside."""
        slow = self.breaker.slow
        if slow is not None and took > slow.total_seconds():
            self.failed(permit, now)
            return
        if permit is self._probe:
            self._probe = None
            self._probed.pop(permit.key, None)
            self._period += 1
            self._failures = 0
            self._move("closed")
        elif self._state == "closed" and permit.period == self._period:
            self._failures = 0

    def failed(self, permit: Permit, now: float) -> bool:
        """The call failed. True: it costs the delivery an attempt. False: it is deferred (RULES 6.1).

        A call that began before the opening and ends after it changes nothing and is deferred.
        """
        if permit is self._probe:
            self._probe = None
            self._open(now)
            return self._blame(permit.key)
        if self._state != "closed":
            return False
        if permit.period == self._period:
            self._failures += 1
            if self._failures >= self.breaker.after:
                self._open(now)
        return True

    def abandoned(self, permit: Permit, now: float) -> None:
        """The outside was not called: another probe is allowed at once."""
        if permit is self._probe:
            self._probe = None
            self._until = now
            self._move("open")

    def _blame(self, key: bytes) -> bool:
        """Count a failed probe of this delivery; True: it had more than `PROBES_PER_DELIVERY`."""
        count = self._probed.pop(key, 0) + 1
        self._probed[key] = count
        if len(self._probed) > MAX_PROBED:
            del self._probed[next(iter(self._probed))]
        return count > PROBES_PER_DELIVERY

    def _open(self, now: float) -> None:
        self._until = now + self.breaker.open_for.total_seconds()
        self._move("open")

    def _move(self, state: State) -> None:
        self._state = state
        self._changed(state)
