"""The clocks of `play`: the machine's, which a test may step, and one of each service, which follows it (RULES 11)."""

import asyncio
from datetime import datetime, timedelta

from hocket.clock import KitClock
from hocket.testing.virtual_time import EPOCH


class Machine:
    """What all services of a `play` run on: its clock is `EPOCH`, the virtual time since, and what it was stepped."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.zero = self.loop.time()
        self.stepped = 0.0  # seconds


class ServiceClock(KitClock):
    """A service's own clock on that machine: carried by the virtual time, corrected only by `set_forward`."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._base = machine.stepped

    def now(self) -> datetime:
        """The current time, aware, in UTC."""
        return EPOCH + timedelta(seconds=self.monotonic() - self._machine.zero + self._base)

    def monotonic(self) -> float:
        """Monotonic virtual seconds."""
        return self._machine.loop.time()

    def machine_ahead(self) -> float:
        """Seconds by which the machine's clock is ahead of this one; negative: behind."""
        return self._machine.stepped - self._base
