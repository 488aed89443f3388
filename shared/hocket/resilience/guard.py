"""The breakers around one attempt: they refuse outside calls, tell failures, and decide what is deferred."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

from hocket.breaker import Breaker
from hocket.clock import Clock
from hocket.errors import BreakerOpen, HocketError
from hocket.resilience.breakers.registry import Breakers
from hocket.resilience.breakers.row import Permit
from hocket.resilience.breakers.transitions import Verdict
from hocket.resilience.breakers.verdict import Judgement, judged, kind_of
from hocket.resilience.breakers.view import POLL_SECONDS, SharedBreaker
from hocket.resilience.time_limit import LimitedRun

#: Failed probes of one delivery that use no attempt; each further one does (RULES 6.1).
PROBES_PER_DELIVERY = 20
#: Seconds after which a call outside a handler is cut where neither it nor its breaker has a `within`.
OUTSIDE_SECONDS = 60.0
#: Of the time that a call had, the part for which it was out when its handler was cut, if that is to be a failure.
LONG_ENOUGH = 0.5


class _Cancelled(NamedTuple):
    """A call that was cancelled: `end` knows why."""

    shared: SharedBreaker
    permit: Permit
    out: float  # seconds for which it was out
    of: float  # seconds that it had


class BreakerGuard:
    """The breakers of one attempt, and whether its failure uses no attempt (RULES 6.1).

    `bound` is the handler's time-out in seconds; None: there is no handler, and calls are cut after `OUTSIDE_SECONDS`.
    `who` is its queue, by which calls that wait go in turn.
    """

    # Defaults of the class: most attempts call nobody, and set none of them.
    run: LimitedRun | None = None  # of the handler
    busy = False  # `end` has something to do
    deferred = False  # a call failed, and the delivery is to be deferred
    probed = False  # that call was a probe
    wait = 0.0  # seconds until that breaker admits a call again
    _held: tuple[SharedBreaker, Permit] | None = None  # given by `begin`, not used yet
    _cancelled: tuple[_Cancelled, ...] = ()
    _telling: tuple[tuple[SharedBreaker, Permit, Awaitable[None]], ...] = ()

    def __init__(self, breakers: Breakers, clock: Clock, bound: float | None = None, who: str = "") -> None:
        self._breakers = breakers
        self._clock = clock
        self._bound = bound
        self._who = who

    async def begin(self, breaker: Breaker) -> bool:
        """Before the handler: whether it may run. If this run is a probe, its first call uses the slot."""
        shared = self._breakers.of(breaker)
        if shared.state == "closed" and (shared.calm or await self._is_closed(shared)):
            return True
        try:
            permit = await shared.enter(self._seconds(breaker, None)[1], patience=0.0, who=self._who)
        except BreakerOpen as error:
            self.wait = error.wait.total_seconds()
            return False
        self._held, self.busy = (shared, permit), True
        return True

    async def _is_closed(self, shared: SharedBreaker) -> bool:
        await shared.fresh()
        return shared.state == "closed"

    async def end(self, error: BaseException | None = None) -> None:
        """After the handler, which ended with `error`: give back what it did not use, and wait until failures are told.

        A call that was cancelled failed where the time was over: one that the handler has set, or the handler's own if
        the call was out for half of what it had. Otherwise (a sibling failed, the service stops) it tells nothing.
        """
        if self._held is not None:
            (shared, permit), self._held = self._held, None
            shared.ended(permit, "none")
        over, whole = _is_timeout(error), self.run is not None and self.run.expired
        for each in self._cancelled:
            failed = over and (not whole or each.out >= LONG_ENOUGH * each.of)
            self._ended(each.shared, each.permit, "bad" if failed else "none", error=kind_of(error) if error else "")
        self._cancelled = ()
        for shared, permit, told in self._telling:
            await told
            if shared.state != "closed":
                self.deferred, self.probed = True, self.probed or bool(permit.slot)
                self.wait = max(self.wait, shared.wait(self._clock.monotonic()), POLL_SECONDS)
        self._telling, self.busy = (), False

    @asynccontextmanager
    async def call(self, breaker: Breaker, within: timedelta | None = None) -> AsyncIterator[None]:
        """A context around one outside call, cut after `within`. Raises `BreakerOpen` and `LimitReached`."""
        shared = self._breakers.of(breaker)
        cut, bound = self._seconds(breaker, within)
        if self._held is not None and self._held[0] is shared:
            permit, self._held = self._held[1], None
        else:
            permit = await shared.enter(bound, who=self._who)
        began = self._clock.monotonic()
        limit = asyncio.timeout(cut)
        try:
            async with shared.limited(limit):
                yield
        except Exception as error:
            late = isinstance(error, TimeoutError) and limit.expired()
            try:
                said = Judgement(True) if late else judged(error, breaker, self._clock.now())
            except BaseException:  # of `ill`: it comes out, and the call has failed
                self._ended(shared, permit, "bad", error=kind_of(error))
                raise
            verdict = self._verdict(breaker, began, ill=said.ill)
            self._ended(shared, permit, verdict, said.shut, kind_of(error))
            raise
        except asyncio.CancelledError:
            found = _Cancelled(shared, permit, self._clock.monotonic() - began, bound)
            self._cancelled, self.busy = (*self._cancelled, found), True
            raise
        except BaseException:
            self._ended(shared, permit, "none")
            raise
        self._ended(shared, permit, self._verdict(breaker, began, ill=False), error="a slow success")

    def _verdict(self, breaker: Breaker, began: float, *, ill: bool) -> Verdict:
        slow = breaker.slow is not None and self._clock.monotonic() - began > breaker.slow.total_seconds()
        return "bad" if ill or slow else "ok"

    def _seconds(self, breaker: Breaker, within: timedelta | None) -> tuple[float | None, float]:
        """After how many seconds a call is cut (None: by the handler's time-out), and how long it lasts at most."""
        if within is not None and within <= timedelta(0):
            raise HocketError(
                f"tx.outside({breaker.name}, within={within!r}) leaves no time for the call; give a timedelta above 0, "
                "or leave it out"
            )
        given = within or breaker.within
        if self._bound is None:
            cut = given.total_seconds() if given is not None else OUTSIDE_SECONDS
            return cut, cut
        if given is None:
            return None, self._bound
        return given.total_seconds(), min(given.total_seconds(), self._bound)

    def _ended(
        self, shared: SharedBreaker, permit: Permit, verdict: Verdict, shut: float = 0.0, error: str = ""
    ) -> None:
        told = shared.ended(permit, verdict, shut, error)
        if told is not None and verdict == "bad":
            self._telling, self.busy = (*self._telling, (shared, permit, told)), True


def _is_timeout(error: BaseException | None) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_timeout(each) for each in error.exceptions)
    return isinstance(error, TimeoutError)
