"""What one process knows of one breaker: it asks for slots, tells how calls ended, and counts while closed (RULES 6).

Closed asks nobody. What has changed elsewhere is learnt by the sum of the rows' versions, which rides in answers of the
store; a view that is older than two renewals of the lease is not believed, and the row is read first.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random

from hocket.breaker import Breaker
from hocket.clock import Clock
from hocket.errors import BreakerOpen, LimitReached, StoreError
from hocket.resilience.breakers.row import CLOSED, HALF, HELD, BreakerRow, BreakerRows, Decide, Permit, Sight, State
from hocket.resilience.breakers.share import Limits
from hocket.resilience.breakers.transitions import Report, Verdict, asked, told, width_of
from hocket.resilience.breakers.turns import Turns

#: Seconds in which reports are gathered before they are told together.
TELL_SECONDS = 0.01
#: Seconds that a call waits for a slot or a token before its delivery is deferred.
PATIENCE_SECONDS = 1.0
#: Seconds until the next look, where as many calls are out as may be.
POLL_SECONDS = 1.0
#: Seconds after the end of a period at which a slot is asked for: two clocks never agree to the microsecond.
MARGIN_SECONDS = 0.005
#: Seconds until the next look of a call that waits.
SHORT_POLL_SECONDS = 0.1
#: Shortest sleep: one that is less than the clock's grain would end at the same moment, for ever.
SHORTEST_SECONDS = 0.001
#: Longest waits that are told of a breaker, held or open: what is deferred looks again whether a person has closed it.
HELD_WAIT_SECONDS, OPEN_WAIT_SECONDS = 60.0, 600.0


@dataclass(eq=False)
class SharedBreaker:
    """One breaker in this process. `changed(state)` is called when it has learnt of another state."""

    breaker: Breaker
    rows: BreakerRows
    clock: Clock
    chance: Random
    changed: Callable[[State], None] = lambda _: None
    row: BreakerRow = field(init=False)
    _learnt: float = float("-inf")  # when the row was read (monotonic seconds)
    _ends: float = 0.0  # when the period is over (monotonic seconds)
    _alone: float = float("-inf")  # when a period is over that the row could not be told of (monotonic seconds)
    _sum: int = -1  # of the versions, when the row was read
    _store_ahead: float = 0.0  # of the monotonic clock
    _living: Sequence[str] = ()
    _epoch: int = 0
    _granted: int = 0
    _mine: int = 0  # slots in hand
    _report: Report = field(default_factory=Report)
    _well: float = float("-inf")  # when a call last ended well while it was closed (monotonic seconds)
    _failing: bool = False  # closed, and the last call here has failed
    _batch: "asyncio.Future[None] | None" = None  # of what is reported next
    _teller: "asyncio.Task[None] | None" = None
    _reading: "asyncio.Task[None] | None" = None
    _asked: int = 0  # decisions so far, and the last of them that was learnt
    _last: int = 0

    def __post_init__(self) -> None:
        self.row = BreakerRow(self.breaker.name)
        self._running: set[asyncio.Timeout] = set()
        self._turns = Turns()  # of those who wait for a slot or a token
        self._limits = Limits(self.breaker, self.rows.boot, self.rows.least)

    # -- what is known ---------------------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """closed, half-open, open or held, as far as this process knows."""
        return self.row.state

    @property
    def why(self) -> str:
        """Why it is in this state: what failed last, or who did it and for what reason."""
        return f"{self.row.by}: {self.row.reason}" if self.row.by else self.row.reason

    @property
    def calm(self) -> bool:
        """Whether it is closed, that is believed, and nothing limits its calls: then nobody is asked."""
        return self.row.state == CLOSED and not self._limits and self._is_believed()

    @property
    def width(self) -> int:
        """How many calls may be out at once in the step of the ramp that it has reached."""
        return width_of(self.breaker, self.row.step)

    def wait(self, now: float) -> float:
        """Seconds until a call may be tried: 0 closed; half-open 0 where a slot may be free."""
        if self.row.state == CLOSED:
            return 0.0
        if self.row.state == HALF:
            return 0.0 if self.room(now) else max(0.0, self._learnt + POLL_SECONDS - now)
        return min(max(0.0, self._ends - now), HELD_WAIT_SECONDS if self.row.state == HELD else OPEN_WAIT_SECONDS)

    def room(self, now: float) -> int:
        """How many more slots this process may hope for; a look a second where the others have them all."""
        if self.row.state != HALF:
            return 1
        width = self.width
        free = min(width - len(self.row.granted()), -(-width // max(len(self._living), 1)) - self._mine)
        return free if free > 0 else int(now - self._learnt >= POLL_SECONDS)

    def admits(self, now: float, in_progress: int, who: str = "", waiting: bool = False) -> tuple[int | None, float]:
        """How many deliveries may begin now (None: as many as come), and seconds until the next look where none may.

        `in_progress` have begun, and may still want a slot. Subscriptions that have deliveries `waiting` go in turn.
        """
        many, wait = self._room_for(now, in_progress)
        if many is None or not waiting:
            return many, wait
        if many and self._turns.is_next(who, now):
            self._turns.granted(who)
            return many, wait
        wait = SHORT_POLL_SECONDS if many else wait
        self._turns.waits(who, now, wait)
        return 0, wait

    def _room_for(self, now: float, in_progress: int) -> tuple[int | None, float]:
        if (wait := self.wait(now)) > 0:
            return 0, wait
        many, wait = self._limits.admits(now, in_progress)
        if self.row.state == CLOSED:
            return many, wait
        room = max(0, self.room(now) - max(0, in_progress - self._mine))
        return min(room, many if many is not None else room), max(wait, SHORT_POLL_SECONDS)

    def paused(self, now: float, seconds: float) -> None:
        """This process did not run for so long: no call under way is a verdict, and it gets the time (RULES 11.6)."""
        self._epoch += 1
        for each in self._running:
            if (due := each.when()) is not None and not each.expired():
                each.reschedule(due + seconds)

    @asynccontextmanager
    async def limited(self, limit: asyncio.Timeout) -> AsyncIterator[None]:
        """A call under this time limit, which gets back what a pause of the process takes."""
        async with limit:
            self._running.add(limit)
            try:
                yield
            finally:
                self._running.discard(limit)

    def _is_believed(self) -> bool:
        """Whether the row need not be read: not while calls fail here, for then another replica may have opened it."""
        total, at = self.rows.news()
        return not self._failing and total == self._sum and self.clock.monotonic() - at <= self.rows.believed

    async def fresh(self) -> None:
        """Read the row unless what is known of it is believed; where the store is away, what was known stays."""
        if self._is_believed():
            return
        if self._reading is None or self._reading.done():
            self._reading = asyncio.ensure_future(self.read())
        await asyncio.shield(self._reading)

    async def read(self) -> None:
        """Read the row; where the store is away, what was known stays."""
        try:
            await self._decide(lambda sight: sight.row)
        except StoreError:
            return

    async def _decide(self, decide: Decide) -> None:
        total, _ = self.rows.news()
        self._asked += 1
        mine = self._asked
        sight = await self.rows.decide(self.breaker.name, decide)
        if sight.row.version < self.row.version and (mine < self._last or self.clock.monotonic() < self._alone):
            return  # one that began later has brought more, or it could not be told
        self._last, self._sum = max(mine, self._last), total
        self._learn(sight)

    def _learn(self, sight: Sight) -> None:
        """The row is so now."""
        now, was = self.clock.monotonic(), self.row
        self.row, self._learnt, self._living = sight.row, now, sight.living
        self._ends, self._store_ahead = now + sight.remaining() + MARGIN_SECONDS, sight.now - now
        self._limits.learn(sight.living, now)
        if self.row.version != was.version:
            self._report = Report(slots=self._report.slots, shut=self._report.shut, error=self._report.error)
            self._failing = False
            self._turns.anew(now)
        if self.row.state != was.state:
            self.changed(self.row.state)

    # -- a call ----------------------------------------------------------------------------------------------------

    async def enter(self, bound: float, patience: float = PATIENCE_SECONDS, who: str = "") -> Permit:
        """Leave for one call of at most `bound` seconds. `BreakerOpen`, `LimitReached`: not within `patience`.

        `who` is the subscription that calls: those of one process go in turn (RULES 6.8).
        """
        if self.calm:
            return Permit(self.row.version, "", self._epoch, False)
        until = self.clock.monotonic() + patience
        await self.fresh()
        slot = "" if self.row.state == CLOSED else await self._slot(bound, until, who)
        try:
            lent = await self._token(until, who)
        except BaseException:
            if slot:
                self._give_back(slot, "none")
            raise
        return Permit(self.row.version, slot, self._epoch, lent)

    async def _slot(self, bound: float, until: float, who: str) -> str:
        """A slot of its own; "" where the breaker has closed meanwhile."""
        async with self._turns.turn(who):
            if self.wait(self.clock.monotonic()) <= 0 and (slot := await self._ask(bound, who)):
                return slot
            while self.row.state != CLOSED:
                now = self.clock.monotonic()
                half = self.row.state == HALF
                wait = SHORT_POLL_SECONDS if half else max(self.wait(now), SHORT_POLL_SECONDS)
                if now + wait > until:
                    raise BreakerOpen(self.breaker.name, timedelta(seconds=max(self.wait(now), POLL_SECONDS)))
                await asyncio.sleep(wait)
                if slot := await self._ask(bound, who):
                    return slot
            return ""

    async def _ask(self, bound: float, who: str) -> str:
        self._granted += 1
        slot = f"{self.rows.boot}/{self._granted}"
        try:
            await self._decide(lambda sight: asked(sight, slot, bound, self.breaker))
        except StoreError:
            return ""
        if slot not in self.row.granted():
            self._ends = max(self._ends, self._learnt + POLL_SECONDS)
            return ""
        self._mine += 1
        self._turns.granted(who)
        return slot

    async def _token(self, until: float, who: str) -> bool:
        if not self._limits:
            return False
        async with self._turns.turn(who):
            while (wait := self._limits.wait(now := self.clock.monotonic())) > 0:
                if now + wait > until:
                    raise LimitReached(self.breaker.name, timedelta(seconds=min(max(wait, POLL_SECONDS), 60.0)))
                await asyncio.sleep(max(wait, SHORTEST_SECONDS))
            self._limits.take()
            self._turns.granted(who)
        return True

    def ended(self, permit: Permit, verdict: Verdict, shut: float = 0.0, error: str = "") -> Awaitable[None] | None:
        """The call has ended; `error` is the kind of its failure.

        What is returned is done when the row knows of it; None: nobody need know. A call of an earlier
        version, or one from before a pause of the process, is no verdict.
        """
        if permit.lent:
            self._limits.give_back()
        valid = permit.epoch == self._epoch
        if verdict == "bad" and error:
            self._report = self._report._replace(error=error)
        if permit.slot:
            return self._give_back(permit.slot, verdict if valid else "none", shut if valid else 0.0)
        if verdict == "none":
            return None
        if valid and permit.version == self.row.version and self.row.state == CLOSED:
            self._count(verdict)
        if verdict == "ok":
            return None
        return self._tell(None, shut if valid and permit.version == self.row.version else 0.0)

    def _count(self, verdict: Verdict) -> None:
        seen = self._report
        if verdict == "ok":
            self._report = seen._replace(version=self.row.version, calls=seen.calls + 1, streak=0)
            self._well, self._failing = self.clock.monotonic(), False
        else:
            self._failing = True
            self._report = seen._replace(
                version=self.row.version, calls=seen.calls + 1, bad=seen.bad + 1, streak=seen.streak + 1
            )

    # -- telling ---------------------------------------------------------------------------------------------------

    def _give_back(self, slot: str, verdict: Verdict, shut: float = 0.0) -> "asyncio.Future[None]":
        self._mine -= 1
        return self._tell((slot, verdict), shut)

    def _tell(self, slot: tuple[str, Verdict] | None, shut: float = 0.0) -> "asyncio.Future[None]":
        if slot is not None:
            self._report = self._report._replace(slots=(*self._report.slots, slot))
        if shut:
            self._report = self._report._replace(shut=max(self._report.shut, shut))
        if self._batch is None:
            self._batch = asyncio.get_running_loop().create_future()
        if self._teller is None or self._teller.done():
            self._teller = asyncio.ensure_future(self._tell_all())
        return self._batch

    async def _tell_all(self) -> None:
        """Tell what has gathered, batch after batch, until nothing is left."""
        await asyncio.sleep(TELL_SECONDS)
        while self._batch is not None:
            batch, self._batch = self._batch, None
            report, self._report = self._report, Report()
            try:
                await self._tell_now(report)
            finally:
                if not batch.done():
                    batch.set_result(None)

    async def _tell_now(self, report: Report) -> None:
        chance, well = self.chance.random(), self._well

        def decide(sight: Sight) -> BreakerRow:  # measured when it decides, which may be again and again
            since = self.clock.monotonic() - well
            return told(sight, report._replace(since_ok=since), self.breaker, least=self.rows.least, chance=chance)

        try:
            await self._decide(decide)
        except StoreError:  # RULES 6.10: the own count decides; a slot ends by its bound
            now = self._store_ahead + self.clock.monotonic()
            row = decide(Sight(self.row, now, self._living))
            if row.state == CLOSED and row.version == self.row.version:
                self._report = report.before(self._report)
                return
            self._learn(Sight(row, now, self._living))
            self._alone = self._ends

    async def renewed(self) -> None:
        """The lease was renewed: learn who lives, and tell successes where a rate counts them."""
        if self.breaker.rate is not None and self._report.calls:
            await self._tell(None)
        elif self._limits or not self._is_believed():
            await self.read()
