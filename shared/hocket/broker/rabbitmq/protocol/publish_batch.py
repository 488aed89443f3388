"""Writes a batch of messages on a publishing channel, and collects the broker's verdict on each.

The client's own `basic_publish` costs a task and three futures for each message, and waits for the socket in a way
that stops the heartbeats of a connection that an alarm holds back. So a batch is written here through the channel's
own parts: its lock, its delivery tags, its table of confirmations, its write queue. The table holds a
`_PendingConfirm` for each message in place of a future.
"""

import asyncio
from collections.abc import Sequence
from typing import cast

from aio_pika.exceptions import ChannelInvalidStateError, DeliveryError
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as ClientChannel
from aiormq.channel import ConfirmationType
from aiormq.exceptions import PublishError

from hocket.broker.port import Message, Published, Verdict
from hocket.broker.rabbitmq.protocol.publish_codec import exchange_check, publish_frames

_CONFIRMED = Published(Verdict.CONFIRMED)


class Batch:
    """The verdicts on messages written together; None for those that had no answer when the channel ended."""

    __slots__ = ("_left", "done", "verdicts")

    def __init__(self, count: int) -> None:
        self.verdicts: list[Published | None] = [None] * count
        self._left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, index: int, verdict: Published) -> None:
        """Record one verdict; the last one ends the batch."""
        if self.verdicts[index] is None:
            self.verdicts[index] = verdict
            self._left -= 1
            if not self._left:
                self.end()

    def end(self) -> None:
        """No more verdicts will arrive."""
        if not self.done.done():
            self.done.set_result(None)


class _PendingConfirm:
    """One message in the channel's table of confirmations; the client uses it like a future."""

    __slots__ = ("_batch", "_channel", "_index", "_message_id")

    def __init__(self, channel: ClientChannel, batch: Batch, index: int, message_id: str) -> None:
        self._channel = channel
        self._batch = batch
        self._index = index
        self._message_id = message_id

    def done(self) -> bool:
        """Whether the verdict has arrived."""
        return self._batch.verdicts[self._index] is not None

    def cancelled(self) -> bool:
        """Never: nobody waits for one message alone."""
        return False

    def set_result(self, _: object) -> None:
        """The broker has confirmed it."""
        self._settle(_CONFIRMED)

    def set_exception(self, error: BaseException) -> None:
        """The broker returned it, or could not accept it."""
        if isinstance(error, PublishError):
            self._settle(Published(Verdict.RETURNED, str(error.args[0])))
        elif isinstance(error, DeliveryError):
            self._settle(Published(Verdict.NACKED, "the broker could not take it now"))

    def _settle(self, verdict: Published) -> None:
        self._channel.message_id_delivery_tag.pop(self._message_id, None)
        self._batch.settle(self._index, verdict)


def close_event(channel: ClientChannel) -> asyncio.Event:
    """Set once the channel begins to close: one more frame on it would end the connection."""
    event: asyncio.Event = channel._Channel__close_event  # type: ignore[attr-defined]  # noqa: SLF001
    return event


async def write_batch(
    channel: ClientChannel, messages: Sequence[Message], ids: Sequence[str], checked: Sequence[str], batch: Batch
) -> None:
    """Write messages with these ids; the broker closes the channel first if one of the exchanges `checked` is missing.

    When it raises (`ChannelInvalidStateError` on a closed channel, or the client's errors), nothing was written.
    """
    async with channel.lock:
        if close_event(channel).is_set():
            raise ChannelInvalidStateError("the channel was closed")
        first = channel.delivery_tag + 1
        try:
            payload = bytearray().join(exchange_check(channel.number, name) for name in checked)
            for index, (message, message_id) in enumerate(zip(messages, ids, strict=True)):
                payload += publish_frames(channel, message, message_id)
                channel.delivery_tag += 1
                pending = _PendingConfirm(channel, batch, index, message_id)
                channel.confirmations[channel.delivery_tag] = cast("ConfirmationType", pending)
                channel.message_id_delivery_tag[message_id] = channel.delivery_tag
            await channel.write_queue.put(ChannelFrame(payload=bytes(payload), should_close=False))
        except BaseException:
            # Nothing was written: the broker must not miss these numbers.
            for tag in range(first, channel.delivery_tag + 1):
                channel.confirmations.pop(tag, None)
            for message_id in ids:
                channel.message_id_delivery_tag.pop(message_id, None)
            channel.delivery_tag = first - 1
            raise
