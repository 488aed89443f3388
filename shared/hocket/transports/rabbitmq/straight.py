"""Deliveries straight from the socket's reader to the consumer, without a task and two queues for each.

The client puts every frame of a channel into a queue, reads them back in a task of the channel, and starts a task a
delivery. `Straight` stands in that queue's place: it joins the frames of a delivery itself and hands all others on.
"""

import asyncio
from collections.abc import Callable

from aiormq.channel import Channel as WireChannel
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

#: What the client's reader puts into a channel's queue: the size on the wire, and the frame.
Item = tuple[int, Frame | ContentHeader | ContentBody]
#: Takes a delivery: its frame, its properties, its body.
Arrived = Callable[[Basic.Deliver, Basic.Properties, bytes], None]


class Straight:
    """The queue of frames of one consuming channel; `install` puts it in place before the channel consumes."""

    def __init__(self, rest: "asyncio.Queue[Item]", arrived: Arrived) -> None:
        self._rest = rest
        self._arrived = arrived
        self._frame: Basic.Deliver | None = None
        self._header: ContentHeader | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    @classmethod
    def install(cls, channel: WireChannel, arrived: Arrived) -> None:
        """Take the place of the channel's queue; its own reader goes on with what is left for it."""
        channel.frames = cls(channel.frames, arrived)  # type: ignore[assignment]  # it is one in all that is used

    async def put(self, item: Item) -> None:
        """One frame, in the order of the wire: content frames follow their delivery without another between them."""
        frame = item[1]
        if isinstance(frame, Basic.Deliver):
            self._frame = frame
        elif self._frame is not None and isinstance(frame, ContentHeader):
            self._header, self._missing = frame, frame.body_size or 0
            if not self._missing:
                self._end()
        elif self._header is not None and isinstance(frame, ContentBody):
            self._parts.append(frame.value)
            self._missing -= len(frame.value)
            if self._missing <= 0:
                self._end()
        else:
            await self._rest.put(item)

    def _end(self) -> None:
        frame, header, parts = self._frame, self._header, self._parts
        self._frame, self._header, self._parts = None, None, []
        assert frame is not None
        assert header is not None
        self._arrived(frame, header.properties, parts[0] if len(parts) == 1 else b"".join(parts))

    async def get(self) -> Item:
        """The next frame for the channel's own reader."""
        return await self._rest.get()

    def task_done(self) -> None:
        """The channel's reader has taken a frame."""
        self._rest.task_done()
