"""The client's connection with a reader of ours: it takes what the socket has at once instead of frame by frame.

The client awaits three reads a frame and lets its codec look up each field by name. `Chunks` cuts the frames out of
what has come, decodes the two that come with every event itself, and leaves all others to the client's codec.
"""

import asyncio
import struct
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

from hocket.transports.rabbitmq.outgoing import Outgoing

#: Bytes taken from the socket at once.
READ_BYTES = 64 * 1024

_HEAD = struct.Struct(">BHI")
_METHOD = struct.Struct(">I")
_TAG = struct.Struct(">QB")
_METHOD_FRAME, _BODY_FRAME, _END = 1, 3, 0xCE
#: Type, channel and size before a payload; the end byte behind it.
_AROUND = _HEAD.size + 1


class Chunks(FrameReceiver):
    """Frames out of whatever the socket has; what the client's own receiver raises it raises too."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._data = b""
        self._at = 0

    async def get_frame(self) -> ReceivedFrame:
        """The next frame: its size on the wire, its channel, and itself."""
        while True:
            left = len(self._data) - self._at
            if left >= _AROUND:
                kind, channel, size = _HEAD.unpack_from(self._data, self._at)
                if left >= size + _AROUND:
                    begin = self._at
                    self._at = begin + size + _AROUND
                    return self._cut(kind, channel, begin, self._at)
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

    def _cut(self, kind: int, channel: int, begin: int, end: int) -> ReceivedFrame:
        data = self._data
        if data[end - 1] != _END:
            raise InvalidFrameError("a frame does not end where it says")
        if kind == _BODY_FRAME:
            return end - begin, channel, ContentBody(data[begin + _HEAD.size : end - 1])
        if kind == _METHOD_FRAME and _METHOD.unpack_from(data, begin + _HEAD.size)[0] == Basic.Deliver.index:
            return end - begin, channel, _deliver(data, begin + _HEAD.size + _METHOD.size)
        try:
            return codec.unmarshal(data[begin:end])
        except PAMQPException as wrong:
            raise InvalidFrameError(str(wrong)) from wrong


def _short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(), end


def _deliver(data: bytes, at: int) -> Basic.Deliver:
    consumer_tag, at = _short(data, at)
    tag, redelivered = _TAG.unpack_from(data, at)
    exchange, at = _short(data, at + _TAG.size)
    routing_key, _ = _short(data, at)
    frame = Basic.Deliver.__new__(Basic.Deliver)  # what a broker sends needs no check of ours
    frame.consumer_tag, frame.delivery_tag, frame.redelivered = consumer_tag, tag, bool(redelivered & 1)
    frame.exchange, frame.routing_key = exchange, routing_key
    return frame


class _Wire(WireConnection):
    """The client's connection, which reads by `Chunks` once it is open, and writes from `Outgoing`."""

    def __init__(self, url: URL, **kwargs: Any) -> None:
        super().__init__(url, **kwargs)
        self.write_queue = Outgoing()

    async def _Connection__reader(self, frame_receiver: FrameReceiver) -> None:  # noqa: N802 -- the client's private name
        read = super()._Connection__reader  # type: ignore[misc]  # the contract suite shows that it still stands
        await read(Chunks(frame_receiver.reader))


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
