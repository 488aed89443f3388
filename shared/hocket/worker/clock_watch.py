"""Notices steps of the clocks, says them, and puts right what a wrong clock has left (RULES 11.2, 11.4, 11.6).

Nothing in a process is decided by a wall clock, so a step harms nobody. The service's own clock, which dates what is
said, follows the database server's clock where there is one; on SQLite it follows the machine's, once that has stood
still after a step, and what waits moves with it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from hocket.clock import KitClock
from hocket.errors import StoreError
from hocket.resilience.breakers.registry import Shown
from hocket.runtime import Runtime

#: Seconds between two looks at the machine's clock, and the least step of it that is noticed.
LOOK_SECONDS = 1.0
STEP_SECONDS = 0.02
#: Seconds by which two clocks may differ for good: so much is neither said nor followed.
TOLERANCE = 1.0
#: Seconds after a step for which the machine's clock must be steady before it is followed, where no server has one.
STEADY_SECONDS = 60.0
#: Seconds between two searches for rows that are further away than they wait.
PUT_RIGHT_SECONDS = 60.0


@dataclass(slots=True)
class ClockWatch:
    """Watches the clocks of one service. `claim_now` makes the relay look when the next row is due."""

    runtime: Runtime
    circuits: dict[str, Shown]
    claim_now: Callable[[], None]
    _ahead: float = 0.0  # of the machine's clock, when last looked at
    _stepped: float = 0.0  # when it last stepped (monotonic seconds)
    _searched: float = 0.0

    def __post_init__(self) -> None:
        self.runtime.pauses.listen(self._paused)

    async def begin(self) -> None:
        """Before anything is said: take the store's clock, and look each second whether the process was paused."""
        self.runtime.pauses.start()
        clock = self.runtime.clock
        if isinstance(clock, KitClock):
            self._ahead = clock.machine_ahead()
        self._searched = clock.monotonic()
        await self.ask_store()
        await self._put_right()  # the last process may have had a wrong clock

    async def ask_store(self) -> None:
        """Read the store's clock and its horizon, and follow that clock where it differs. Raises `StoreError`."""
        clock = self.runtime.clock
        asked = clock.monotonic()
        told = await self.runtime.store.clock.time()
        doubt = (clock.monotonic() - asked) / 2
        if not isinstance(clock, KitClock):
            return
        ahead = told.now + doubt - clock.now().timestamp()
        if abs(ahead) <= TOLERANCE + doubt:
            return
        self._say("the service's clock follows the database's", ahead)
        await self._follow(clock, ahead)

    async def run(self) -> None:
        """Look each second, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except StoreError as error:
                self.runtime.trouble("what a wrong clock may have left could not be looked for", reason=str(error))

    async def look(self) -> None:
        """Look once at the machine's clock, and each minute for what a wrong clock has left. Raises `StoreError`."""
        clock = self.runtime.clock
        now = clock.monotonic()
        if isinstance(clock, KitClock):
            await self._look_at_machine(clock, now)
        if now - self._searched >= PUT_RIGHT_SECONDS:
            await self._put_right()

    async def _look_at_machine(self, clock: KitClock, now: float) -> None:
        ahead = clock.machine_ahead()
        step, self._ahead = ahead - self._ahead, ahead
        if abs(step) >= STEP_SECONDS:
            self._stepped = now
            self._say("the machine's clock was stepped", step)
            await self._put_right()
        elif abs(ahead) > TOLERANCE and now - self._stepped >= STEADY_SECONDS and not self.runtime.store.clock.shared:
            self._say("the service's clock follows the machine's", ahead)
            await self._follow(clock, ahead)

    async def _follow(self, clock: KitClock, seconds: float) -> None:
        await self.runtime.store.clock.follow(seconds, clock.set_forward)
        self._ahead -= seconds
        await self._put_right()

    async def _put_right(self) -> None:
        self._searched = self.runtime.clock.monotonic()
        if moved := await self.runtime.store.clock.put_right():
            self.runtime.trouble("due times that a wrong clock had set were put right", rows=moved)
            self.claim_now()

    def _say(self, what: str, seconds: float) -> None:
        self.runtime.trouble(what, step_seconds=round(seconds, 3))

    def _paused(self, seconds: float) -> None:
        now = self.runtime.clock.monotonic()
        for circuit in self.circuits.values():
            circuit.paused(now, seconds)
        self.runtime.trouble("the process did not run for a while", seconds=round(seconds, 3))
