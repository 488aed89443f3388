"""What one process does with a breaker: waits for its turn, counts alone while the store is away."""

import asyncio
from datetime import timedelta

import pytest

from hocket.breaker import Breaker
from hocket.clock import SystemClock
from hocket.errors import BreakerOpen, LimitReached, StoreError
from hocket.resilience.breakers.registry import Breakers, OwnRows, alone
from hocket.resilience.breakers.row import Decide, Sight
from hocket.resilience.breakers.transitions import held, released
from hocket.resilience.breakers.turns import LATE_SECONDS


class AwayRows(OwnRows):
    """Rows of a store that may be away."""

    away = False

    async def decide(self, name: str, decide: Decide) -> Sight:
        """Fails while it is away."""
        if self.away:
            raise StoreError("it is away")
        return await super().decide(name, decide)


async def test_a_call_waits_for_its_turn_and_is_deferred() -> None:
    """RULES 6.9: a token that comes within a second is waited for; else the delivery is deferred, cause `limit`."""
    often = alone(SystemClock()).of(Breaker("api", failures=(OSError,), per_second=2))
    await often.enter(60.0)
    await often.enter(60.0)  # after half a second
    rare = alone(SystemClock()).of(Breaker("api", failures=(OSError,), per_minute=1))
    await rare.enter(60.0)
    with pytest.raises(LimitReached, match="as many calls as api allows") as found:
        await rare.enter(60.0)
    assert found.value.wait >= timedelta(seconds=1)
    assert rare.admits(SystemClock().monotonic(), 0)[0] == 0


async def test_calls_at_once_are_bounded() -> None:
    """RULES 6.9: the next begins when one has ended; intake of declared handlers takes no more meanwhile."""
    clock = SystemClock()
    api = alone(clock).of(Breaker("api", failures=(OSError,), in_flight=2))
    first, _ = await api.enter(60.0), await api.enter(60.0)
    assert api.admits(clock.monotonic(), 2) == (0, 0.1)
    waiting = asyncio.ensure_future(api.enter(60.0))
    await asyncio.sleep(0)
    assert not waiting.done()
    api.ended(first, "ok")
    await waiting
    with pytest.raises(LimitReached):
        await api.enter(60.0, patience=0.0)


class ReadOnlyRows(OwnRows):
    """Rows that can be read and not be written: a standby, a full disk, a right that is missing."""

    async def decide(self, name: str, decide: Decide) -> Sight:
        """Fails where something is to be changed."""
        sight = await super().decide(name, lambda sight: sight.row)
        if decide(sight) != sight.row:
            raise StoreError("it is read only")
        return sight


async def test_what_cannot_be_written_is_counted_alone() -> None:
    """RULES 6.10: a row that is read and never written does not undo the own count, nor the period it has begun."""
    clock = SystemClock()
    rows = ReadOnlyRows(clock.monotonic)
    breaker = Breaker("api", failures=(OSError,), after=3, open_for=timedelta(milliseconds=200))
    api = Breakers(rows, clock, lambda name, state: None).of(breaker)

    async def fails() -> None:
        told = api.ended(await api.enter(60.0), "bad")
        assert told is not None
        await told

    await fails()
    await fails()
    api.ended(await api.enter(60.0), "ok")
    await fails()
    await fails()
    assert str(api.state) == "closed", "a success came between them"
    await fails()
    await api.read()
    assert str(api.state) == "open"
    with pytest.raises(BreakerOpen):
        await api.enter(60.0, patience=0.0)
    async with asyncio.timeout(10):
        while api.wait(clock.monotonic()):  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(0.01)
    await api.read()
    assert api.state == "closed", "nobody else has seen a failure"


async def test_without_the_store_the_own_count_decides() -> None:
    """RULES 6.10: closed stays closed until the own failures open it; open stays shut, until the store answers."""
    clock = SystemClock()
    rows = AwayRows(clock.monotonic)
    breaker = Breaker("api", failures=(OSError,), after=2, open_for=timedelta(milliseconds=20))
    api = Breakers(rows, clock, lambda name, state: None).of(breaker)
    await api.enter(60.0)
    rows.away = True
    for _ in range(2):
        told = api.ended(await api.enter(60.0), "bad")
        assert told is not None
        await told
    assert str(api.state) == "open"
    await asyncio.sleep(0.05)
    with pytest.raises(BreakerOpen):
        await api.enter(60.0, patience=0.0)
    rows.away = False
    await api.read()
    assert api.state == "closed", "nobody else has seen a failure"


async def test_while_calls_fail_the_row_is_read_before_each() -> None:
    """RULES 6.3: another replica may have opened it meanwhile; after a success nobody is asked again."""
    clock = SystemClock()
    rows = OwnRows(clock.monotonic)
    breaker = Breaker("api", failures=(OSError,), after=3)
    mine, other = (Breakers(rows, clock, lambda name, state: None).of(breaker) for _ in range(2))
    for each in (mine, other):
        await each.enter(60.0)
        told = each.ended(await each.enter(60.0), "bad")
        assert told is not None
        await told
        assert not each.calm
    mine.ended(await mine.enter(60.0), "ok")
    assert mine.calm
    for each in (mine, other, other):
        told = each.ended(await each.enter(60.0), "bad")
        assert told is not None
        await told
    assert (mine.state, other.state) == ("closed", "open")
    with pytest.raises(BreakerOpen):
        await mine.enter(60.0, patience=0.0)


async def test_a_slot_whose_call_got_no_token_is_no_longer_in_hand() -> None:
    """RULES 6.3: half-open, as many may be out as before; what was given back is not counted for ever."""
    clock = SystemClock()
    api = alone(clock).of(Breaker("api", failures=(OSError,), per_minute=1, ramp=1))
    await api.enter(60.0)  # the only token of this minute
    await api.rows.decide("api", lambda sight: sight.row._replace(state="half-open", version=1))
    await api.read()
    with pytest.raises(LimitReached):
        await api.enter(60.0, patience=0.0)
    async with asyncio.timeout(10):
        while api.row.granted():  # noqa: ASYNC110 -- bounded above
            await asyncio.sleep(0.01)
    assert api.room(clock.monotonic()) == 1


@pytest.mark.parametrize("at_once", [True, False])
async def test_one_that_waited_for_a_long_period_holds_nobody_up_when_it_is_cut_short(at_once: bool) -> None:
    """RULES 6.8: closed by hand, all ask anew; what was deferred for an hour does not come now."""
    clock = SystemClock()
    api = alone(clock).of(Breaker("api", failures=(OSError,), in_flight=8))
    await api.rows.decide("api", lambda sight: held(sight, 3600, "they move", "ann", least=0.0))
    await api.read()
    api.admits(clock.monotonic(), 0, "busy", waiting=True)
    api.admits(clock.monotonic(), 0, "deferred", waiting=True)
    await api.rows.decide("api", lambda sight: released(sight, "moved", "ann", least=0.0, at_once=at_once))
    await api.read()
    later = clock.monotonic() + 2 * LATE_SECONDS
    first, _ = api.admits(later, 0, "busy", waiting=True)
    again, _ = api.admits(later, 0, "busy", waiting=True)
    assert first
    assert again
