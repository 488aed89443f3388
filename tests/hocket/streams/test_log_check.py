"""The check of the log: what was said before a service first started is not taken from it."""

from datetime import timedelta

import pytest

from hocket.broker.port import Depth, Transport
from hocket.broker.topology import LOG
from hocket.streams.end import end_of
from hocket.worker import Worker
from tests.hocket.sample_services import Processes, Rung, World, bells, ropes


async def _after_history(tower: Processes, world: World) -> Worker:
    """A service that starts for the first time after three events that it hears were said."""
    await tower.start(ropes.using(World()))
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
    await tower.quiet()
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
