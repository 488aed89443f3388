"""Two copies of a service on SQLite, each with a file of its own: both say so, and are not ready."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode
from hocket.worker import copies
from tests.flows.two_services import Choir, choir


@pytest.fixture
async def band(rabbitmq: RabbitNode, broker_url: str, tmp_path: Path) -> AsyncIterator[Choir]:
    """Both services, ready."""
    async with choir(rabbitmq, broker_url, tmp_path) as made:
        yield made


async def test_a_second_copy_with_its_own_file_is_noticed(
    band: Choir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 2.8: each of the two names the queue; when one is gone, the other is ready again."""
    monkeypatch.setattr(copies, "LOOK_SECONDS", 0.2)
    first = band.workers.pop(band.alto.name)
    await first.stop()
    first = await band.start(band.alto)
    band.elsewhere(tmp_path / "elsewhere")
    second = await band.start(band.alto)
    sentence = f"another copy of {band.alto.name} consumes {band.queue}"
    await band.until(lambda: all(any(sentence in each for each in one.health()) for one in (first, second)))
    await second.stop()
    band.workers[band.alto.name] = first
    await band.until(lambda: first.health() == [])
