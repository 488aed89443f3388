"""Large events on a real broker: a service holds what it may by bytes, consumes less at a time, and does them all."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode
from tests.flows.two_services import Choir, choir

#: Bytes of one event, what a service may hold, and how many events there are.
EACH, MAY, NOTES = 50_000, 400_000, 100


@pytest.fixture
async def band(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> AsyncIterator[Choir]:
    """Both services, with little room."""
    async with choir(rabbitmq, broker_url, tmp_path, intake_bytes=MAY) as made:
        yield made


async def test_intake_is_bounded_by_bytes_and_every_event_is_done_once(
    band: Choir, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The consumer is limited and raised again on the same channel: nothing comes twice, nothing is left behind."""
    lane = band.workers[band.alto.name].runners[band.queue]
    assert lane.consumer is not None
    intake, held, asked, ask = lane.intake, list[int](), list[int](), lane.consumer.limit

    async def note(number: int, attempt: int) -> None:
        held.append(intake.held_of(band.queue))

    def limit(prefetch: int) -> None:
        asked.append(prefetch)
        ask(prefetch)

    monkeypatch.setattr(lane.consumer, "limit", limit)

    band.song.before = note
    epoch = lane.consumer.epoch
    await band.sing(0, NOTES, text="x" * EACH)
    await band.once(NOTES)
    assert max(held) < NOTES
    assert min(asked) <= MAY / EACH
    assert lane.consumer.epoch == epoch
    assert intake.held_of(band.queue) == 0
    assert sum(band.notes.attempts_of(band.queue).values()) == NOTES
    await band.sing(NOTES, NOTES)
    await band.once(2 * NOTES)
    assert asked[-1] == lane.prefetch
