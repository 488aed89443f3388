"""The breakers around one attempt: which calls count, and which are refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Protocol

from hocket.breaker import Breaker
from hocket.clock import Clock
from hocket.errors import BreakerOpen
from hocket.resilience.circuit import Circuit, Permit


class StateListener(Protocol):
    """Called when a breaker changes its state."""

    def __call__(self, name: str, state: str) -> None:
        """Breaker `name` is now in `state`."""
        ...


class BreakerGuard:
    """The breakers of one attempt: permits for calls, and whether a failure costs no attempt (RULES 6.1)."""

    def __init__(self, circuits: dict[str, Circuit], clock: Clock, key: bytes, changed: StateListener) -> None:
        self._circuits = circuits
        self._clock = clock
        self._key = key
        self._changed = changed
        self._probe: tuple[str, Permit] | None = None
        self.free = False  # a failure happened that is to be deferred
        self.wait = 0.0  # seconds until the breaker that failed admits again

    def circuit(self, breaker: Breaker) -> Circuit:
        """The state of this breaker in this process."""
        found = self._circuits.get(breaker.name)
        if found is None:
            found = Circuit(breaker, lambda state: self._changed(breaker.name, state))
            self._circuits[breaker.name] = found
        return found

    def enter(self, breaker: Breaker) -> Permit:
        """The permit for one call; `BreakerOpen` where there is none. Uses the probe that `begin` kept, if any."""
        if self._probe is not None and self._probe[0] == breaker.name:
            held = self._probe[1]
            self._probe = None
            return held
        circuit = self.circuit(breaker)
        now = self._clock.monotonic()
        granted = circuit.admit(now, self._key)
        if granted is None:
            raise BreakerOpen(breaker.name, timedelta(seconds=circuit.wait(now)))
        return granted

    def begin(self, breaker: Breaker) -> bool:
        """Before the handler: whether this run may begin. Keeps a probe for the first call of the handler."""
        now = self._clock.monotonic()
        circuit = self.circuit(breaker)
        granted = circuit.admit(now, self._key)
        if granted is None:
            self.wait = circuit.wait(now)
            return False
        if granted.probe:
            self._probe = (breaker.name, granted)
        return True

    def end(self) -> None:
        """After the handler: releases a probe that was not used for a call."""
        if self._probe is not None:
            name, held = self._probe
            self._circuits[name].abandoned(held, self._clock.monotonic())
            self._probe = None

    @asynccontextmanager
    async def call(self, breaker: Breaker) -> AsyncIterator[None]:
        """A context around one call of the outside."""
        held = self.enter(breaker)
        circuit = self.circuit(breaker)
        began = self._clock.monotonic()
        try:
            yield
        except breaker.failures:
            self._failed(circuit, held)
            raise
        except Exception:  # the outside answered: whatever it said, it is alive
            circuit.succeeded(held, self._clock.monotonic(), self._clock.monotonic() - began)
            raise
        except BaseException:  # cancelled by the handler's time-out
            self._failed(circuit, held)
            raise
        circuit.succeeded(held, self._clock.monotonic(), self._clock.monotonic() - began)

    def _failed(self, circuit: Circuit, held: Permit) -> None:
        now = self._clock.monotonic()
        if not circuit.failed(held, now):
            self.free = True
            self.wait = circuit.wait(now)
