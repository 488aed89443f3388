"""Readiness as news: each reason once when it appears, and once when all is well again."""

import asyncio
from datetime import timedelta

from hocket.telemetry.signals import Listener, Signals
from hocket.worker import health_watch
from hocket.worker.health_watch import MAX_REASONS, HealthWatch
from tests.hocket.sample_runtime import runtime_of
from tests.hocket.sample_services import FaultyStore, Processes, World, bells, echo


class Ear(Listener):
    """Records news."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def link(self, service: str, ready: bool, reason: str) -> None:
        """Note it."""
        self.heard.append(("link", ready, reason))

    def readiness(self, service: str, reason: str) -> None:
        """Note it."""
        self.heard.append(("readiness", reason))

    def news(self) -> list[tuple[object, ...]]:
        """What came since the last call."""
        found, self.heard = self.heard, []
        return found


async def listening(tower: Processes, ear: Ear) -> None:
    """Start bells with a listener."""
    tower.signals = Signals([ear])
    await tower.start(bells.using(World(behave=echo)))


async def test_the_link_is_said_when_it_changes_and_not_again(tower: Processes) -> None:
    """Down with the reason, up once; the first sample comes before the first connection, so that a metric is there."""
    ear = Ear()
    await listening(tower, ear)
    await tower.quiet()
    await asyncio.sleep(2)
    assert ear.news() == [("link", False, ""), ("link", True, "memory://"), ("readiness", "")]
    tower.broker.cut("bells", heal=False)
    await asyncio.sleep(600)
    assert ear.news() == [("link", False, "the connection to the memory broker was lost")]
    tower.broker.reconnect("bells")
    await tower.advance(timedelta(seconds=5))
    assert ear.news() == [("link", True, "memory://")]


async def test_an_alarm_of_the_broker_is_a_link_that_is_down(tower: Processes) -> None:
    """The connection stands, and nothing can be published."""
    ear = Ear()
    await listening(tower, ear)
    await tower.quiet()
    await asyncio.sleep(2)
    ear.news()
    tower.broker.alarm(True)
    await asyncio.sleep(60)
    assert ear.news() == [("link", False, "the memory broker has an alarm and blocks publishes")]
    tower.broker.alarm(False)
    await asyncio.sleep(2)
    assert ear.news() == [("link", True, "memory://")]


async def test_a_stop_is_no_news(tower: Processes) -> None:
    """The link that the stop itself closes is not reported as lost."""
    ear = Ear()
    await listening(tower, ear)
    await tower.quiet()
    await asyncio.sleep(2)
    ear.news()
    await tower.stop("bells")
    assert ear.news() == []


async def test_other_reasons_are_said_once_with_their_numbers_left_out(tower: Processes) -> None:
    """A wait that grows is the same reason; what a start passes through is none; all gone is said once."""
    runtime = runtime_of("bells", FaultyStore(":memory:", clock=tower.clock, boot="b", inline=True), tower.clock)
    ear = Ear()
    runtime.signals._listeners = (ear,)  # noqa: SLF001 -- the runtime of tests has nobody who listens
    reasons = ["the database is not open yet"]
    watch = asyncio.create_task(HealthWatch(runtime, lambda: reasons).run())
    await runtime.transport.open()
    await asyncio.sleep(3)
    assert ear.news() == [("link", False, ""), ("link", True, "memory://")]
    reasons[:] = []
    await asyncio.sleep(2)
    assert ear.news() == [("readiness", "")]
    for seconds in range(11, 60):
        reasons[:] = [f"the broker has not confirmed anything for {seconds} s"]
        await asyncio.sleep(1)
    assert ear.news() == [("readiness", "the broker has not confirmed anything for 11 s")]
    for letter in "abcdefghijklmnopqrstuvwxyz":
        reasons[:] = [letter]
        await asyncio.sleep(1)
    assert len(ear.news()) == MAX_REASONS - 1
    reasons[:] = []
    await asyncio.sleep(2)
    assert ear.news() == [("readiness", "")]
    watch.cancel()
    await runtime.transport.close()


def test_a_reason_is_known_again_by_its_kind() -> None:
    """Details behind a colon and numbers are left out."""
    lost = "the connection to the broker at rabbit:5672 was lost: "
    assert health_watch.kind_of(f"{lost}reset by peer") == health_watch.kind_of(f"{lost}closed")
    assert health_watch.kind_of("the broker at rabbit:5672 does not answer: x") != health_watch.kind_of(f"{lost}closed")
