"""The bound on unconfirmed bytes of one connection."""

import asyncio
import contextlib
from types import SimpleNamespace
from typing import Any

import pytest

from hocket.broker.port import Message
from hocket.broker.rabbitmq import publisher
from hocket.broker.rabbitmq.publisher import Publisher


class BlockedSession:
    """A session whose broker blocks publishers for ever; counts the batches that wait for it."""

    def __init__(self) -> None:
        self.batches = 0

    async def until_unblocked(self) -> None:
        """Never returns."""
        self.batches += 1
        await asyncio.get_running_loop().create_future()


async def idle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def redeclare() -> None:
    """Nothing is missing."""


async def test_a_cancelled_wait_for_space_frees_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """A publish that is cancelled while it waits for space does not let a later one exceed the bound."""
    monkeypatch.setattr(publisher, "MAX_PENDING_BYTES", 10)
    session = BlockedSession()
    connection: Any = SimpleNamespace(check=lambda: None, open=True, session=session, reason="")
    published = Publisher(connection, "orders", redeclare)
    first, second = (asyncio.create_task(published.publish([Message("", "q", b"x" * 8, "x")])) for _ in range(2))
    await idle()
    assert session.batches == 1
    second.cancel()
    await idle()
    third = asyncio.create_task(published.publish([Message("", "q", b"x" * 8, "x")]))
    await idle()
    assert session.batches == 1
    first.cancel()
    await idle()
    assert session.batches == 2
    third.cancel()
    for task in (first, second, third):
        with contextlib.suppress(asyncio.CancelledError):
            await task
