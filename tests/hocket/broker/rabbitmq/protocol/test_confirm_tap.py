"""Confirms that are taken at once, and those that wait for what was read before them."""

import asyncio
from collections import OrderedDict
from types import SimpleNamespace
from typing import Any

from aiormq.channel import Returning
from pamqp.body import ContentBody
from pamqp.commands import Basic

from hocket.broker.rabbitmq.protocol.confirm_tap import ConfirmTap


class Told:
    """An unconfirmed message."""

    def __init__(self) -> None:
        self.told = False

    def set_result(self, _: object) -> None:
        """The broker has it."""
        assert not self.told
        self.told = True


def channel_with(many: int) -> tuple[Any, ConfirmTap, dict[int, Told]]:
    """A channel with so many unconfirmed messages, as the client keeps them."""
    messages = {tag: Told() for tag in range(1, many + 1)}
    channel: Any = SimpleNamespace(frames=asyncio.Queue(), confirmations=OrderedDict(messages))
    ConfirmTap(channel)
    return channel, channel.frames, messages


def ack(confirms: ConfirmTap, tag: int, *, multiple: bool = False) -> bool:
    """One `basic.ack` as received."""
    return confirms.on_ack(b"frame" + Basic.Ack(tag, multiple).marshal(), 5)


def told(messages: dict[int, Told]) -> list[int]:
    """The tags whose answer has come."""
    return [tag for tag, message in messages.items() if message.told]


def test_one_and_all_up_to_one() -> None:
    """An ack is for its message, or for all up to it that have no answer yet; each is told once."""
    channel, confirms, messages = channel_with(9)
    assert ack(confirms, 3)
    assert told(messages) == [3]
    assert ack(confirms, 5, multiple=True)
    assert told(messages) == [1, 2, 3, 4, 5]
    assert ack(confirms, 7)
    assert ack(confirms, 6)
    assert ack(confirms, 9, multiple=True)
    assert told(messages) == list(range(1, 10))
    assert not channel.confirmations


async def test_an_ack_behind_frames_that_were_not_read_waits() -> None:
    """What was returned comes before its ack: the channel's own reader has to see it first."""
    _, confirms, messages = channel_with(2)
    await confirms.put((8, ContentBody(b"")))
    assert not ack(confirms, 1)
    assert told(messages) == []
    await confirms.get()
    confirms.task_done()
    assert ack(confirms, 1)


async def test_what_was_returned_is_not_confirmed() -> None:
    """The client has told it; its ack is counted off and nobody is told again, wherever it stands among the others."""
    channel, confirms, messages = channel_with(3)
    del channel.confirmations[1]
    channel.confirmations[1] = Returning()
    assert ack(confirms, 2, multiple=True)
    assert told(messages) == [2]
    assert list(channel.confirmations) == [3]
