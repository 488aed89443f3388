"""Time in `play`: days pass, clocks are stepped, a service is paused, breakers open."""

import asyncio
import time
from datetime import timedelta

import pytest

from hocket import Breaker, Event, Heard, Scheduled, Service, Tx
from hocket.errors import HocketError
from hocket.telemetry.signals import Listener
from hocket.testing import play
from hocket.testing.virtual_time import EPOCH

#: Seconds of CPU in which a month passes, far below those that its two and a half million seconds would cost.
MONTH_SECONDS = 60.0
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


class Asked(Heard, type="asker.asked"):
    """Somebody asks."""

    name: str


class Answered(Event, type="desk.answered", subject="answer/{name}"):
    """The answer of now."""

    name: str


class Reminded(Event, type="desk.reminded", subject="answer/{name}"):
    """The answer of later."""

    name: str


class Told(Listener):
    """Troubles, by what they are."""

    def __init__(self) -> None:
        self.what: list[tuple[str, str]] = []

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Keep it."""
        self.what.append((service, what))


def reminder(after: timedelta) -> Service:
    """A service that says something after so long."""
    made = Service("desk", owner="tests")

    @made.handler
    async def later(asked: Asked, tx: Tx) -> Scheduled[Reminded]:
        return Scheduled(Reminded(name=asked.name), after=after, key=asked.name)

    return made


async def test_a_month_passes_and_what_is_due_comes_at_its_moment() -> None:
    """Where nothing is due an hour passes at once; a reminder and a time-out come neither early nor late."""
    made = reminder(20 * DAY + timedelta(seconds=7))

    @made.overdue(25 * DAY, unless=Answered, by="name", late="accepted")
    async def unanswered(asked: Asked, tx: Tx) -> Answered:
        return Answered(name=asked.name)

    began = time.process_time()
    async with play(made) as stage:
        await stage.hear(Asked(name="a"))
        await stage.advance(20 * DAY)
        assert list(stage.said) == []
        await stage.advance(timedelta(seconds=10))
        assert list(stage.said) == [Reminded(name="a")]
        await stage.advance(10 * DAY)
        assert list(stage.said) == [Reminded(name="a"), Answered(name="a")]
        moments = [each.envelope.time - EPOCH for each in stage._log() if each.envelope.source == "/desk"]  # noqa: SLF001
        assert timedelta(0) <= moments[0] - 20 * DAY - timedelta(seconds=7) < timedelta(seconds=1)
        assert timedelta(0) <= moments[1] - 25 * DAY < timedelta(seconds=1)
    assert time.process_time() - began < MONTH_SECONDS


async def test_a_task_of_the_team_keeps_its_time() -> None:
    """Time does not pass at once where somebody else may act in between."""
    woken: list[float] = []
    loop = asyncio.get_running_loop()

    async def each_minute() -> None:
        while True:
            await asyncio.sleep(60)
            woken.append(loop.time())

    async with play(reminder(HOUR)) as stage:
        minutes = asyncio.ensure_future(each_minute())
        await stage.advance(timedelta(minutes=10, seconds=30))
        minutes.cancel()
    assert len(woken) == 10


@pytest.mark.parametrize("by", [3 * HOUR, -3 * HOUR])
async def test_a_step_of_the_machine_moves_nothing(by: timedelta) -> None:
    """RULES 11.1, 11.4, 11.7: it is said, and followed after a minute; what waits comes when it was to come."""
    told = Told()
    async with play(reminder(HOUR), listeners=[told]) as stage:
        await stage.hear(Asked(name="a"))
        await stage.quiet()
        await stage.step_clock(by)
        assert ("desk", "the machine's clock was stepped") in told.what
        await stage.advance(timedelta(minutes=58))
        assert list(stage.said) == []
        assert ("desk", "the service's clock follows the machine's") in told.what
        await stage.advance(timedelta(minutes=3))
        assert list(stage.said) == [Reminded(name="a")]


async def test_a_step_of_the_store_is_wrong_once() -> None:
    """RULES 11.2: ahead, what waits comes earlier by so much; back, it is put right and waits its whole time again."""
    async with play(reminder(HOUR)) as stage:
        await stage.hear(Asked(name="a"))
        await stage.quiet()
        await stage.step_clock(timedelta(minutes=59), of="store")
        await stage.advance(timedelta(minutes=2))
        assert list(stage.said) == [Reminded(name="a")]
        await stage.hear(Asked(name="b"))
        await stage.quiet()
        await stage.step_clock(-DAY, of="store")
        await stage.advance(timedelta(minutes=50))
        assert len(stage.said) == 1
        await stage.advance(timedelta(minutes=15))
        assert len(stage.said) == 2


async def test_a_paused_service_does_nothing_and_loses_no_time() -> None:
    """RULES 11.6: the other goes on; afterwards it is said, and the handler that was at work has its whole time."""
    desk, other, told = Service("desk", owner="tests"), Service("other", owner="tests"), Told()
    handled: list[str] = []
    begun = asyncio.Event()

    @desk.handler(timeout=timedelta(seconds=10))
    async def slow(asked: Asked, tx: Tx) -> None:
        begun.set()
        await asyncio.sleep(8)
        handled.append(f"desk {asked.name}")

    @other.handler
    async def quick(asked: Asked, tx: Tx) -> None:
        handled.append(f"other {asked.name}")

    async with play(desk, other, listeners=[told], raise_failures=True) as stage:
        await stage.hear(Asked(name="a"))
        await begun.wait()
        pause = asyncio.ensure_future(stage.pause(desk, 300))
        await asyncio.sleep(1)
        await stage.hear(Asked(name="b"))
        await asyncio.sleep(60)
        assert handled == ["other a", "other b"]
        await pause
        assert handled == ["other a", "other b"]
        await stage.quiet()
        assert handled == ["other a", "other b", "desk a", "desk b"]
        assert told.what == [("desk", "the process did not run for a while")]
        with pytest.raises(HocketError, match="nobody does not play here; give one of desk, other"):
            await stage.pause(Service("nobody", owner="tests"), 1)


async def test_breakers_are_seen() -> None:
    """By service and name, as the service knows them."""
    card = Breaker("card-api", failures=(ConnectionError,), after=1, open_for=timedelta(minutes=5))
    desk, up = Service("desk", owner="tests"), list[bool]()

    @desk.handler(breaker=card)
    async def call(asked: Asked, tx: Tx) -> None:
        async with tx.outside(card):
            if not up:
                raise ConnectionError

    async with play(desk) as stage:
        assert dict(stage.breakers) == {"desk.card-api": "closed"}
        await stage.hear(Asked(name="a"))
        await stage.quiet()
        assert dict(stage.breakers) == {"desk.card-api": "open"}
        up.append(True)
        await stage.advance(timedelta(minutes=10))
        assert dict(stage.breakers) == {"desk.card-api": "half-open"}, "one call is not the whole ramp"
