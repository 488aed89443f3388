"""Where a stream ends."""

import pytest

from hocket.broker.port import Depth
from hocket.broker.topology import LOG
from hocket.errors import TransportError
from hocket.streams.end import end_of
from tests.hocket.sample_services import Processes, Rung


def _counts(tower: Processes, monkeypatch: pytest.MonkeyPatch, messages: int) -> None:
    async def depth(queue: str) -> Depth:
        return Depth(messages, 0)

    monkeypatch.setattr(tower.post, "depth", depth)


async def test_the_end_is_behind_the_last_message(tower: Processes) -> None:
    """0 for an empty stream; an error for one that does not exist."""
    assert await end_of(tower.post, LOG) == 0
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
    assert await end_of(tower.post, LOG) == 3
    with pytest.raises(TransportError, match="stream nowhere does not exist"):
        await end_of(tower.post, "nowhere")


async def test_a_count_that_comes_late_says_nothing(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RabbitMQ counts no messages of a stream for some seconds after its start: they are there all the same."""
    await tower.hear(Rung(name="a"), "k")
    _counts(tower, monkeypatch, 0)
    assert await end_of(tower.post, LOG) == 1


async def test_a_stream_that_sends_nothing_is_not_empty(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where messages are counted and none comes, the end is unknown."""
    _counts(tower, monkeypatch, 7)
    with pytest.raises(TransportError, match="holds messages and has sent none"):
        await end_of(tower.post, LOG)
