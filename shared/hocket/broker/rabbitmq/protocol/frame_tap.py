"""Replaces a channel's queue of received frames: a tap handles some frames at once, the rest go to the channel."""

import asyncio

from aiormq.channel import Channel as ClientChannel
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

#: What the client's reader puts into a channel's queue: the size in bytes, and the frame.
Item = tuple[int, Frame | ContentHeader | ContentBody]


class FrameTap:
    """The frame queue of one channel, with the methods that the client calls; forwards to the original queue."""

    def __init__(self, channel: ClientChannel) -> None:
        self._rest: asyncio.Queue[Item] = channel.frames
        channel.frames = self  # type: ignore[assignment]  # it has every method of the queue that the client calls

    async def put(self, item: Item) -> None:
        """Queue a frame that no tap handles, or that must wait for earlier ones."""
        await self._rest.put(item)

    async def get(self) -> Item:
        """The next frame for the channel's own reader."""
        return await self._rest.get()

    def task_done(self) -> None:
        """The channel's reader has taken a frame."""
        self._rest.task_done()
