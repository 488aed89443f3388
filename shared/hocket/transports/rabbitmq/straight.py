"""Deliveries straight from the socket's reader to the consumer, without a task and two queues for each.

The client puts every frame of a channel into a queue, reads them back in a task of the channel, and starts a task a
delivery. `Straight` stands in that queue's place: the reader of ours (`wire`) hands it the frames of deliveries as they
lie in its buffer, and all others go on to the channel's own reader.
"""

import asyncio
from collections.abc import Callable

from aiormq.channel import Channel as WireChannel
from pamqp.base import Frame
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from hocket.transports.rabbitmq.content import Announced, Content, announced, content

#: What the client's reader puts into a channel's queue: the size on the wire, and the frame.
Item = tuple[int, Frame | ContentHeader | ContentBody]
#: Takes a delivery: how it was announced, what its header says, its body.
Arrived = Callable[[Announced, Content, bytes], None]


class Straight:
    """The queue of frames of one consuming channel; `install` puts it in place before the channel consumes."""

    def __init__(self, rest: "asyncio.Queue[Item]", arrived: Arrived) -> None:
        self._rest = rest
        self._arrived = arrived
        self._announced: Announced | None = None
        self._content: Content | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    @classmethod
    def install(cls, channel: WireChannel, arrived: Arrived) -> None:
        """Take the place of the channel's queue; its own reader goes on with what is left for it."""
        channel.frames = cls(channel.frames, arrived)  # type: ignore[assignment]  # it is one in all that is used

    def announce(self, data: bytes, at: int) -> None:
        """`basic.deliver`, its arguments at `at`; the content follows without another frame of the channel between."""
        self._announced = announced(data, at)

    def head(self, data: bytes, at: int, end: int) -> bool:
        """The content header between `at` and `end`; False: of something else than a delivery."""
        if self._announced is None:
            return False
        self._content = content(data, at, end)
        self._missing = self._content.size
        if not self._missing:
            self._end()
        return True

    def body(self, part: bytes) -> bool:
        """A part of the body; False: of something else than a delivery."""
        if self._content is None:
            return False
        self._parts.append(part)
        self._missing -= len(part)
        if self._missing <= 0:
            self._end()
        return True

    def _end(self) -> None:
        said, content, parts = self._announced, self._content, self._parts
        self._announced, self._content, self._parts = None, None, []
        assert said is not None
        assert content is not None
        self._arrived(said, content, parts[0] if len(parts) == 1 else b"".join(parts))

    async def put(self, item: Item) -> None:
        """A frame that belongs to no delivery."""
        await self._rest.put(item)

    async def get(self) -> Item:
        """The next frame for the channel's own reader."""
        return await self._rest.get()

    def task_done(self) -> None:
        """The channel's reader has taken a frame."""
        self._rest.task_done()
