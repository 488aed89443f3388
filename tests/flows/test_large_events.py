"""Large events on a real broker: a service holds what it may by bytes, consumes less at a time, and does them all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode
from hocket.worker import worker as worker_module
from tests.flows.two_services import Choir, choir

#: Bytes of one event, what a service may hold, and how many events there are.
EACH, MAY, NOTES = 50_000, 400_000, 100


@pytest.fixture
async def band(
    rabbitmq: RabbitNode, broker_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Choir]:
    """Both services, with little room."""
    monkeypatch.setattr(worker_module, "INTAKE_BYTES", MAY)
    async with choir(rabbitmq, broker_url, tmp_path) as made:
        yield made


async def test_intake_is_bounded_by_bytes_and_every_event_is_done_once(band: Choir) -> None:
    """The consumer is limited and raised again on the same channel: nothing comes twice, nothing is left behind."""
    lane = band.workers[band.alto.name].runners[band.queue]
    assert lane.consumer is not None
    budget, held, asked = lane.intake._budget, list[int](), set[int]()

    async def note(number: int, attempt: int) -> None:
        held.append(budget.held)
        asked.add(budget.current)

    band.song.before = note
    epoch = lane.consumer.epoch
    await band.sing(0, NOTES, text="x" * EACH)
    await band.once(NOTES)
    assert max(held) < NOTES * EACH
    assert min(asked) <= MAY / EACH
    assert lane.consumer.epoch == epoch
    assert budget.held == 0
    assert sum(band.notes.attempts_of(band.queue).values()) == NOTES
    await band.sing(NOTES, NOTES)
    await band.once(2 * NOTES)
    assert budget.current == lane.subscription.prefetch
