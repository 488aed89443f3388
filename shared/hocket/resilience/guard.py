"""The breakers around one attempt: they refuse outside calls, count failures, and decide what is deferred."""

import asyncio
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
    """The breakers of one attempt, and whether its failure uses no attempt (RULES 6.1)."""

    def __init__(self, circuits: dict[str, Circuit], clock: Clock, key: bytes, changed: StateListener) -> None:
        self._circuits = circuits
        self._clock = clock
        self._key = key
        self._changed = changed
        self._probe: tuple[str, Permit] | None = None  # given by `begin`, not used yet
        self._cancelled: list[tuple[Circuit, Permit]] = []  # calls that were cancelled: `end` knows why
        self.deferred = False  # a call failed, and the delivery is to be deferred
        self.wait = 0.0  # seconds until that breaker admits a call again

    def circuit(self, breaker: Breaker) -> Circuit:
        """The state of this breaker in this process."""
        found = self._circuits.get(breaker.name)
        if found is None:
            found = Circuit(breaker, lambda state: self._changed(breaker.name, state))
            self._circuits[breaker.name] = found
        return found

    def enter(self, breaker: Breaker) -> Permit:
        """A permit for one call: the probe that `begin` holds, else a new one. Raises `BreakerOpen`."""
        if self._probe is not None and self._probe[0] == breaker.name:
            probe = self._probe[1]
            self._probe = None
            return probe
        circuit = self.circuit(breaker)
        now = self._clock.monotonic()
        permit = circuit.admit(now, self._key)
        if permit is None:
            raise BreakerOpen(breaker.name, timedelta(seconds=circuit.wait(now)))
        return permit

    def begin(self, breaker: Breaker) -> bool:
        """Before the handler: whether it may run. If this run is the probe, its first call uses the permit."""
        now = self._clock.monotonic()
        circuit = self.circuit(breaker)
        permit = circuit.admit(now, self._key)
        if permit is None:
            self.wait = circuit.wait(now)
            return False
        if permit.probe:
            self._probe = (breaker.name, permit)
        return True

    def end(self, error: BaseException | None = None) -> None:
        """After the handler, which ended with `error`: release a probe that it did not use.

        A call that was cancelled failed where the time was over, the attempt's or one that the handler has set. Where
        the handler ended otherwise (a sibling in its task group failed, the service stops) it tells nothing.
        """
        if self._probe is not None:
            name, permit = self._probe
            self._circuits[name].released(permit, self._clock.monotonic())
            self._probe = None
        for circuit, permit in self._cancelled:
            if _is_timeout(error):
                self._failed(circuit, permit)
            else:
                circuit.released(permit, self._clock.monotonic())
        self._cancelled.clear()

    @asynccontextmanager
    async def call(self, breaker: Breaker) -> AsyncIterator[None]:
        """A context around one outside call. Raises `BreakerOpen`."""
        permit = self.enter(breaker)
        circuit = self.circuit(breaker)
        began = self._clock.monotonic()
        try:
            yield
        except breaker.failures:
            self._failed(circuit, permit)
            raise
        except Exception:  # not a failure of the dependency: it answered
            circuit.succeeded(permit, self._clock.monotonic(), self._clock.monotonic() - began)
            raise
        except asyncio.CancelledError:
            self._cancelled.append((circuit, permit))
            raise
        except BaseException:
            circuit.released(permit, self._clock.monotonic())
            raise
        circuit.succeeded(permit, self._clock.monotonic(), self._clock.monotonic() - began)

    def _failed(self, circuit: Circuit, permit: Permit) -> None:
        now = self._clock.monotonic()
        if not circuit.failed(permit, now):
            self.deferred = True
            self.wait = circuit.wait(now)


def _is_timeout(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_timeout(each) for each in error.exceptions)
    return isinstance(error, TimeoutError)
