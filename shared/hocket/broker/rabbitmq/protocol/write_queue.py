"""The queue of frames to write on one connection: in order, bounded, and nothing of a channel after its close.

When the broker closes a channel because of a publish, the client has to answer. Its own queue drops that answer when
it is full, and lets a publish that waited for space follow the answer. Either ends the whole connection: with "second
'channel.open' seen" when the channel number is used again, or with "expected 'channel.open'" at once.
"""

import asyncio
import struct

from aiormq.abc import ChannelFrame
from pamqp.commands import Channel

#: Items that wait for the socket; a writer waits when there are more.
MAX_WAITING = 10

#: Type of frame, channel, size, and for a method frame its class and method.
_FRAME_START = struct.Struct(">BHII")
_METHOD_FRAME = 1


class WriteQueue(asyncio.Queue[ChannelFrame]):
    """The connection's write queue: `put` waits for space, `put_nowait` always accepts."""

    def __init__(self) -> None:
        super().__init__()
        self._space = asyncio.Event()
        self._closed: set[int] = set()

    async def put(self, item: ChannelFrame) -> None:
        """Add an item as soon as there is space; dropped if its channel was closed meanwhile."""
        while self.qsize() >= MAX_WAITING:
            self._space.clear()
            await self._space.wait()
        self.put_nowait(item)

    def put_nowait(self, item: ChannelFrame) -> None:
        """Add an item, even beyond the bound; dropped if its channel was closed."""
        kind, channel, method = _first_frame(item.payload)
        if channel in self._closed and (kind, method) != (_METHOD_FRAME, Channel.Open.index):
            item.drain()  # so that nobody waits for it to be written
            return
        if kind == _METHOD_FRAME and method == Channel.CloseOk.index:
            self._closed.add(channel)
        else:
            self._closed.discard(channel)
        super().put_nowait(item)

    async def get(self) -> ChannelFrame:
        """The next item for the socket."""
        item = await super().get()
        self._space.set()
        return item


def _first_frame(payload: bytes) -> tuple[int, int, int]:
    """Type, channel and method of the first frame; zeros for a heartbeat, which has no method."""
    if len(payload) < _FRAME_START.size:
        return 0, 0, 0
    kind, channel, _, method = _FRAME_START.unpack_from(payload)
    return kind, channel, method
