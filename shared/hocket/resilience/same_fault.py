"""Pauses a subscription whose every delivery fails the same way, by the circuit of a breaker (RULES 6.11).

Failures are the same when they have the same exception class, the same code of the database, and the same innermost
line of the team's own code, or, where the kit raised them, the same handler.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from hocket.breaker import Breaker
from hocket.resilience.circuit import Circuit, Permit, State
from hocket.resilience.own_frames import innermost_own

#: Same failures in a row, without a success between them, after which a subscription is paused; this is also how many
#: attempts they use.
FAILURES = 10
#: Subjects that these failures are about, at least: one bad delivery, or all that is said of one order, pauses nobody.
SUBJECTS = 3
#: Deliveries that are known to fail on their own, because another one succeeded since; the oldest is forgotten first.
MAX_KNOWN = 1024
#: How long a pause lasts before one delivery tries again.
PAUSE = timedelta(seconds=10)


class Fault(NamedTuple):
    """How a delivery failed, without the text of its error, which may quote what is sensitive."""

    kind: str  # class of the error
    code: str  # of the database: SQLSTATE, or SQLite's name; "" for other errors
    place: str  # innermost line of the team's own code; where there is none, that of the handler's definition

    def __str__(self) -> str:
        return f"{self.kind}{self.code and f' {self.code}'} at {self.place}"


class SameFault:
    """The pause of one subscription: counts its failures in a row, and has the circuit that pauses it.

    A success ends the row. Deliveries that had failed by then fail on their own, so their next failures do not count.
    `changed` is called with each state of the circuit.
    """

    def __init__(self, queue: str, changed: Callable[["SameFault", State], None]) -> None:
        self.queue = queue
        self.fault: Fault | None = None  # of the failures in a row, or of the pause
        self.at_commit = False  # that fault shows only when ends are committed: a success is one that is committed
        self._failures = 0
        self._failed: dict[bytes, str] = {}  # deliveries of the failures in a row, and their subjects
        self._known: dict[bytes, None] = {}  # deliveries that had failed when another one succeeded
        self._report = changed
        self.circuit = Circuit(Breaker(queue, failures=(Exception,), after=1, open_for=PAUSE), self._changed)
        self._permit = Permit(False, b"", 0)  # the same for all runs of one closed period

    def admit(self, now: Callable[[], float], key: bytes) -> Permit | None:
        """A permit for one run of delivery `key`; None while the subscription is paused."""
        return self._permit if self.circuit.state == "closed" else self.circuit.admit(now(), key)

    def succeeded(self, permit: Permit, now: float) -> None:
        """The run ended well, or its handler decided how it ends."""
        if permit.probe:
            self.circuit.succeeded(permit, now, 0.0)
        elif self._failures and self.circuit.state == "closed":
            for key in self._failed:
                self._known.pop(key, None)
                self._known[key] = None
            while len(self._known) > MAX_KNOWN:
                del self._known[next(iter(self._known))]
            self._begin(None)

    def failed(
        self, permit: Permit, fault: Fault, key: bytes, subject: str, now: float, *, at_commit: bool = False
    ) -> bool:
        """The run of delivery `key` failed. True: this uses an attempt; False: the delivery is deferred.

        `at_commit`: its handler ended well, and the group commit refused its end.
        """
        if permit.probe and fault == self.fault:
            return self.circuit.failed(permit, now)
        if permit.probe:  # what it was paused for is over; this delivery fails on its own
            self.circuit.succeeded(permit, now, 0.0)
        if self.circuit.state != "closed":
            return fault != self.fault  # began before the pause
        if key in self._known:
            return True
        if fault != self.fault:
            self._begin(fault)
            self.at_commit = at_commit
        self._failures += 1
        self._failed[key] = subject
        if self._failures >= FAILURES and len(set(self._failed.values())) >= SUBJECTS:
            self.circuit.failed(self._permit, now)
        elif len(self._failed) > MAX_KNOWN:
            del self._failed[next(iter(self._failed))]
        return True

    def released(self, permit: Permit, now: float) -> None:
        """The run tells nothing: it was deferred, interrupted, or another one has ended the delivery."""
        self.circuit.released(permit, now)

    @property
    def remembered(self) -> int:
        """Deliveries that it keeps in mind; at most twice `MAX_KNOWN`."""
        return len(self._failed) + len(self._known)

    def sentence(self) -> str:
        """Why the subscription is paused."""
        return f"{self.queue} is paused: its deliveries fail the same way, {self.fault}: mend that, and it goes on"

    def _begin(self, fault: Fault | None) -> None:
        self.fault, self._failures, self.at_commit = fault, 0, False
        self._failed.clear()

    def _changed(self, state: State) -> None:
        if state == "closed":
            self._begin(None)
            self._known.clear()
            self._permit = self.circuit.admit(0.0, b"") or self._permit
        self._report(self, state)


def fault_of(error: BaseException, handler: Callable[..., Any] | None = None) -> Fault:
    """How this error of `handler` came about; of a group, its first error."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or ""
    return Fault(type(error).__name__, str(code), innermost_own(error, handler))
