"""The client's connection with a reader of ours: it takes what the socket has at once instead of frame by frame.

The client awaits three reads a frame and lets its codec look up each field by name. `FrameReader` cuts the
frames out of what has come, hands those of deliveries and confirms to their takers at once, and leaves all others
to the client and its codec.
"""

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import aio_pika
from aio_pika.abc import TimeoutType, UnderlayConnection
from aiormq.abc import AbstractConnection
from aiormq.connection import Connection as WireConnection
from aiormq.connection import FrameReceiver, ReceivedFrame
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from pamqp import frame as codec
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.exceptions import PAMQPException
from yarl import URL

from hocket.broker.rabbitmq.protocol.confirm_tap import ConfirmTap
from hocket.broker.rabbitmq.protocol.delivery_tap import DeliveryTap
from hocket.broker.rabbitmq.protocol.write_queue import WriteQueue

#: Bytes taken from the socket at once.
READ_BYTES = 64 * 1024

_HEAD = struct.Struct(">BHI")
_METHOD = struct.Struct(">I")
_METHOD_FRAME, _HEADER_FRAME, _BODY_FRAME, _END = 1, 2, 3, 0xCE
#: Type, channel and size before a payload; the end byte behind it.
_AROUND = _HEAD.size + 1


class FrameReader(FrameReceiver):
    """Frames out of whatever the socket has; what the client's own receiver raises it raises too.

    `taker` finds who takes frames of a channel at once; `came` is told whenever bytes have come.
    """

    def __init__(self, reader: asyncio.StreamReader, taker: Callable[[int], object], came: Callable[[], None]) -> None:
        super().__init__(reader)
        self._taker = taker
        self._came = came
        self._data = b""
        self._at = 0

    async def get_frame(self) -> ReceivedFrame:
        """The next frame that nobody takes at once: its size on the wire, its channel, and itself."""
        while True:
            data, begin = self._data, self._at
            left = len(data) - begin
            if left >= _AROUND:
                kind, channel, size = _HEAD.unpack_from(data, begin)
                if left >= size + _AROUND:
                    self._at = end = begin + size + _AROUND
                    if data[end - 1] != _END:
                        raise InvalidFrameError("a frame does not end where it says")
                    if not self._taken(kind, channel, begin + _HEAD.size, end - 1):
                        return self._cut(kind, channel, begin, end)
                    continue
            await self._more()

    async def _more(self) -> None:
        rest = self._data[self._at :]
        if not rest and self.reader.at_eof():
            raise StopAsyncIteration
        try:
            chunk = await self.reader.read(READ_BYTES)
        except OSError as lost:
            raise AMQPConnectionError(f"Server connection lost: {lost!r}") from lost
        if not chunk:
            raise AMQPConnectionError(f"Server connection unexpectedly closed, {len(rest)} bytes into a frame")
        self._data, self._at = rest + chunk, 0
        self._came()

    def _taken(self, kind: int, channel: int, begin: int, end: int) -> bool:
        """Whether the payload between `begin` and `end` is with its taker: a part of a delivery, or a confirm."""
        taker = self._taker(channel) if channel else None
        try:
            if isinstance(taker, DeliveryTap):
                return self._delivered(taker, kind, begin, end)
            if isinstance(taker, ConfirmTap) and kind == _METHOD_FRAME:
                return self._method(begin) == Basic.Ack.index and taker.acked(self._data, begin + _METHOD.size)
        except (struct.error, IndexError) as wrong:
            raise InvalidFrameError(f"a frame ends too early: {wrong}") from wrong
        return False

    def _delivered(self, straight: DeliveryTap, kind: int, begin: int, end: int) -> bool:
        if kind == _BODY_FRAME:
            return straight.body(self._data[begin:end])
        if kind == _HEADER_FRAME:
            return straight.head(self._data, begin, end)
        if kind != _METHOD_FRAME or self._method(begin) != Basic.Deliver.index:
            return False
        straight.announce(self._data, begin + _METHOD.size)
        return True

    def _method(self, begin: int) -> int:
        index: int = _METHOD.unpack_from(self._data, begin)[0]
        return index

    def _cut(self, kind: int, channel: int, begin: int, end: int) -> ReceivedFrame:
        if kind == _BODY_FRAME:
            return end - begin, channel, ContentBody(self._data[begin + _HEAD.size : end - 1])
        try:
            return codec.unmarshal(self._data[begin:end])
        except PAMQPException as wrong:
            raise InvalidFrameError(str(wrong)) from wrong


class _Wire(WireConnection):
    """The client's connection, which reads by `FrameReader` once it is open, and writes from `WriteQueue`."""

    def __init__(self, url: URL, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)
        self.write_queue = WriteQueue()

    async def _Connection__reader(self, frame_receiver: FrameReceiver) -> None:  # noqa: N802 -- the client's private name
        read = super()._Connection__reader  # type: ignore[misc]  # the contract suite shows that it still stands
        await read(FrameReader(frame_receiver.reader, self._taker, self._came))

    def _taker(self, channel: int) -> object:
        return getattr(self.channels.get(channel), "frames", None)

    def _came(self) -> None:
        self._Connection__last_frame_time = self.loop.time()  # what the client's heartbeat looks at


class _Underlay(UnderlayConnection):
    @classmethod
    async def make_connection(cls, url: URL, timeout: TimeoutType = None, **kwargs: Any) -> AbstractConnection:
        """Open a connection of ours where the client would open its own."""
        properties = kwargs.pop("client_properties", None)
        wire = _Wire(url, **kwargs)
        await asyncio.wait_for(wire.connect(properties), timeout)
        await wire.ready()
        return wire


class FastConnection(aio_pika.Connection):
    """aio-pika's plain connection over the connection above."""

    async def connect(self, timeout: TimeoutType = None) -> None:
        """Connect; called by `aio_pika.connect`."""
        self.transport = await _Underlay.connect(self.url, self._on_connection_close, timeout=timeout, **self.kwargs)
        await self._on_connected()
