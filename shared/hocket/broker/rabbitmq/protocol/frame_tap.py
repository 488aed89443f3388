"""What stands in the place of a channel's queue of frames: some are taken at once, the rest goes on to the channel."""

import asyncio

from aiormq.channel import Channel as WireChannel
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

#: What the client's reader puts into a channel's queue: the size on the wire, and the frame.
Item = tuple[int, Frame | ContentHeader | ContentBody]


class FrameTap:
    """The queue of one channel as the client uses it; the channel's own reader goes on with what is put here."""

    def __init__(self, channel: WireChannel) -> None:
        self._rest: asyncio.Queue[Item] = channel.frames
        channel.frames = self  # type: ignore[assignment]  # it is one in all that is used

    async def put(self, item: Item) -> None:
        """A frame that nobody takes at once, or that must wait for its turn."""
        await self._rest.put(item)

    async def get(self) -> Item:
        """The next frame for the channel's own reader."""
        return await self._rest.get()

    def task_done(self) -> None:
        """The channel's reader has taken a frame."""
        self._rest.task_done()
