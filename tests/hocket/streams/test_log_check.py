"""The check of the log: what was said before a service first started is not taken from it."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.broker.node import RabbitNode
from hocket import Service, Tx
from hocket.broker.port import LAST, Consumer, Deliver, Delivery, Depth, Start, Transport
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import HEARD, LOG
from hocket.streams.end import end_of, last_of
from hocket.telemetry.signals import Listener, Signals
from hocket.worker import Worker
from tests.flows.two_services import choir
from tests.hocket.sample_services import Processes, Rung, World, bells, ropes


async def _history(tower: Processes) -> None:
    """Three events that `bells` hears are said before it first starts."""
    await tower.start(ropes.using(World()))
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
    await tower.quiet()


async def _after_history(tower: Processes, world: World) -> Worker:
    """A service that starts for the first time after three events that it hears were said."""
    await _history(tower)
    worker = await tower.start(bells.using(world))
    await tower.advance(timedelta(minutes=1))
    return worker


def _counts_none_of_the_log(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As RabbitMQ counts the messages of a stream for some seconds after its start."""
    depth = worker.runtime.transport.depth

    async def count(queue: str) -> Depth | None:
        return Depth(0, 0) if queue == LOG else await depth(queue)

    monkeypatch.setattr(worker.runtime.transport, "depth", count)


async def test_history_is_not_taken_when_the_broker_comes_back(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.8: the log goes on where it was compared, although the broker counts no messages at first."""
    world = World()
    worker = await _after_history(tower, world)
    _counts_none_of_the_log(worker, monkeypatch)
    tower.broker.cut("bells")
    await tower.advance(timedelta(minutes=1))
    await tower.hear(Rung(name="a"), "new")
    await tower.advance(timedelta(minutes=1))
    assert world.attempts == [1]
    assert worker.log_check.compared == 4


async def test_history_is_not_taken_while_the_log_does_not_answer(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.8: a log that sends nothing is asked again; only one that is shorter is read from its start."""
    world = World()
    worker = await _after_history(tower, world)
    told: list[str] = []
    monkeypatch.setattr(worker.runtime.signals, "trouble", lambda service, what, **facts: told.append(what))
    ends = [0, 0]

    async def slow(transport: Transport, stream: str) -> int:
        return ends.pop() if ends else await end_of(transport, stream)

    monkeypatch.setattr("hocket.streams.log_check.end_of", slow)
    tower.broker.cut("bells")
    await tower.advance(timedelta(minutes=1))
    await tower.hear(Rung(name="a"), "new")
    await tower.advance(timedelta(minutes=1))
    assert not ends
    assert world.attempts == [1]
    assert told == ["the log could not be compared with the inbox"]


@pytest.mark.parametrize("later", ["a message", "nothing but its count"])
async def test_history_that_shows_late_is_not_taken_at_a_first_start(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, later: str
) -> None:
    """RULES 4.8: a log that shows no message at a first start may hold some: it begins with what is said then."""
    hidden = [None]

    async def late(transport: Transport, stream: str) -> Delivery | None:
        return hidden.pop() if hidden else await last_of(transport, stream)

    await _history(tower)
    monkeypatch.setattr("hocket.streams.log_place.last_of", late)
    world = World()
    worker = await tower.start(bells.using(world))
    await tower.advance(timedelta(minutes=1 if later == "nothing but its count" else 0))
    if later == "a message":
        await tower.hear(Rung(name="a"), "new")
        await tower.advance(timedelta(minutes=1))
    assert worker.log_check.compared == (4 if later == "a message" else 3)
    assert world.attempts == ([1] if later == "a message" else [])


async def test_an_empty_log_is_compared_from_its_start(tower: Processes) -> None:
    """RULES 4.8: also what is said while the service is down, after a first start on a log that stayed empty."""
    world = World()
    await tower.start(bells.using(world))
    await tower.advance(timedelta(minutes=1))
    await tower.stop("bells")
    tower.broker.unbind(next(each for each in bells.declarations.topology().bindings if each.source == HEARD))
    await tower.hear(Rung(name="a"), "new")
    await tower.start(bells.using(world))
    await tower.advance(timedelta(minutes=1))
    assert world.attempts == [1]


class SlowReader(RabbitTransport):
    """The last chunk of a stream comes late: from a cold disk, or over a network that is busy."""

    async def consume(self, queue: str, *, deliver: Deliver, offset: Start | None = None, **bounds: Any) -> Consumer:
        """The real consumer."""
        later = asyncio.get_running_loop().call_later

        def slowly(each: Delivery) -> None:
            later(2.0, deliver, each)

        return await super().consume(queue, deliver=slowly if offset == LAST else deliver, offset=offset, **bounds)


async def test_history_on_a_broker_that_has_not_counted_it_is_not_taken(
    rabbitmq: RabbitNode, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.8: for some seconds RabbitMQ counts no message of a stream that has some."""
    async with choir(rabbitmq, broker_url, tmp_path) as band:
        heard: list[int] = []
        tenor: Service[None] = Service(f"tenor{band.number}", owner="team-choir")
        event = band.event

        @tenor.handler
        async def note(sung: event, tx: Tx) -> None:  # type: ignore[valid-type]  # a type that is made here
            heard.append(sung.number)  # type: ignore[attr-defined]

        await band.sing(0, 3)
        await band.once(3)
        monkeypatch.setattr("tests.flows.two_services.RabbitTransport", SlowReader)
        worker = await band.start(tenor)
        await band.ready()
        await band.sing(3, 1)
        await band.until(lambda: heard, lambda: "heard")
        await band.until(lambda: worker.log_check.compared >= 4)
        assert heard == [3]


async def test_a_log_that_is_made_anew_before_it_is_read_is_noticed(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.8, 7.3: at an offset behind the end of the new log nothing would ever come."""
    world = World()
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
    ends = [30]

    async def before(transport: Transport, stream: str) -> int:
        return ends.pop() if ends else await end_of(transport, stream)

    async def last(transport: Transport, stream: str) -> Delivery | None:
        found = await last_of(transport, stream)
        return found._replace(offset=20) if found is not None else None

    monkeypatch.setattr("hocket.streams.log_check.end_of", before)
    monkeypatch.setattr("hocket.streams.log_place.last_of", last)
    worker = await tower.start(bells.using(world))
    await tower.advance(timedelta(minutes=1))
    assert not ends
    assert worker.log_check.compared == 3


async def test_a_log_that_was_cut_before_it_was_compared_is_said(tower: Processes) -> None:
    """RULES 7.2: what retention has removed there cannot be compared any more."""
    worker = await _after_history(tower, World())
    await tower.hear(Rung(name="a"), "compared")
    await tower.advance(timedelta(minutes=1))
    await tower.kill("bells")
    for number in range(5):
        await tower.hear(Rung(name="a"), f"later {number}")
    tower.broker.truncate(LOG, worker.log_check.compared + 3)
    told: list[tuple[str, object]] = []
    tower.signals = Signals([Listens(told)])
    await tower.start(bells.using(World()))
    await tower.advance(timedelta(minutes=1))
    what = "the log was cut before it was compared: what a removed binding kept away there is lost"
    assert (what, 3) in told


class Listens(Listener):
    """Keeps what was said of missing messages."""

    def __init__(self, told: list[tuple[str, object]]) -> None:
        self._told = told

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Keep it."""
        self._told.append((what, about.get("missed")))


async def test_what_a_subscription_that_ended_has_not_heard_is_not_taken(tower: Processes) -> None:
    """RULES 4.8, 14.4: a generation ends while its events wait to be looked for; the service goes on."""
    worker = await _after_history(tower, World())
    [queue] = worker.runners
    for each in worker.service.declarations.topology().bindings:
        if (each.source, each.destination) == (HEARD, queue):
            tower.broker.unbind(each)
    await tower.hear(Rung(name="a"), "late")
    await tower.broker.changed()
    del worker.runners[queue]
    await tower.advance(timedelta(minutes=1))
    assert worker.live, worker.runtime.tasks.failed
    assert worker.log_check.compared == 4
