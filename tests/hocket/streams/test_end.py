"""Where a stream ends."""

import asyncio
from typing import Any

import pytest

from hocket.broker.port import Consumer, Deliver, Depth
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


async def test_a_last_chunk_may_come_slowly(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is known when nothing more comes, not some time after the first message: a chunk may be large."""
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
    consume, later = tower.post.consume, asyncio.get_running_loop().call_later

    async def slowly(queue: str, *, deliver: Deliver, offset: int | None = None, **bounds: Any) -> Consumer:
        def bit_by_bit(each: Any) -> None:
            later(0.4 * each.offset, deliver, each)

        return await consume(queue, deliver=bit_by_bit, offset=0, **bounds)

    monkeypatch.setattr(tower.post, "consume", slowly)
    assert await end_of(tower.post, LOG) == 3
