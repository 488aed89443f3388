"""What leaves on one connection, in order, with a bound; behind the end of a channel nothing of it follows.

When the broker closes a channel for what was published, the client answers with a frame that it throws away where the
queue to the socket is full, and a publish that waited for room there goes out behind that answer. Both end the whole
connection: "second 'channel.open' seen" where the number is used again, "expected 'channel.open'" at once.
"""

import asyncio
import struct

from aiormq.abc import ChannelFrame
from pamqp.commands import Channel

#: Items that wait for the socket; beyond it who writes waits.
MAX_WAITING = 10

#: Kind of frame, channel, size, and of a method's frame its number.
_BEGIN = struct.Struct(">BHII")
_METHOD_FRAME = 1


class WriteQueue(asyncio.Queue[ChannelFrame]):
    """The connection's queue to the socket: `put` waits for room, `put_nowait` always takes."""

    def __init__(self) -> None:
        super().__init__()
        self._room = asyncio.Event()
        self._ended: set[int] = set()

    async def put(self, item: ChannelFrame) -> None:
        """Take it as soon as there is room; thrown away where its channel has ended meanwhile."""
        while self.qsize() >= MAX_WAITING:
            self._room.clear()
            await self._room.wait()
        self.put_nowait(item)

    def put_nowait(self, item: ChannelFrame) -> None:
        """Take it, also beyond the bound; thrown away where its channel has ended."""
        kind, channel, method = _begin_of(item.payload)
        if channel in self._ended and (kind, method) != (_METHOD_FRAME, Channel.Open.index):
            item.drain()  # nobody waits for it to leave
            return
        if kind == _METHOD_FRAME and method == Channel.CloseOk.index:
            self._ended.add(channel)
        else:
            self._ended.discard(channel)
        super().put_nowait(item)

    async def get(self) -> ChannelFrame:
        """The next one for the socket."""
        item = await super().get()
        self._room.set()
        return item


def _begin_of(payload: bytes) -> tuple[int, int, int]:
    """Kind, channel and method of the first frame; zeros for a heartbeat, which has none."""
    if len(payload) < _BEGIN.size:
        return 0, 0, 0
    kind, channel, _, method = _BEGIN.unpack_from(payload)
    return kind, channel, method
