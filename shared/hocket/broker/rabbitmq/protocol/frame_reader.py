"""Cuts frames out of everything that the socket has received, in place of the client's reader.

The client awaits three reads for each frame, and its codec looks up each field by name. `FrameReader` parses whatever
has arrived, hands the frames of deliveries and confirms to their taps at once, and leaves all others to the client
and its codec.
"""

import asyncio
import struct
from collections.abc import Callable

from aiormq.connection import FrameReceiver, ReceivedFrame
from aiormq.exceptions import AMQPConnectionError, InvalidFrameError
from pamqp import frame as codec
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.exceptions import PAMQPException

from hocket.broker.rabbitmq.protocol.confirm_tap import ConfirmTap
from hocket.broker.rabbitmq.protocol.delivery_tap import DeliveryTap

#: Most bytes of one read from the socket.
READ_BYTES = 64 * 1024

_HEAD = struct.Struct(">BHI")
_METHOD = struct.Struct(">I")
_METHOD_FRAME, _HEADER_FRAME, _BODY_FRAME, _END = 1, 2, 3, 0xCE
#: Bytes around a payload: type, channel and size before it, the end byte after it.
_AROUND = _HEAD.size + 1


class FrameReader(FrameReceiver):
    """Returns the frames that no tap handles; raises what the client's own receiver raises.

    `tap_of` returns the tap of a channel, or something else; `on_data` is called whenever bytes have arrived.
    """

    def __init__(
        self, reader: asyncio.StreamReader, tap_of: Callable[[int], object], on_data: Callable[[], None]
    ) -> None:
        super().__init__(reader)
        self._tap_of = tap_of
        self._on_data = on_data
        self._data = b""
        self._at = 0

    async def get_frame(self) -> ReceivedFrame:
        """The next frame that no tap handles: its size in bytes, its channel, the frame."""
        while True:
            data, begin = self._data, self._at
            left = len(data) - begin
            if left >= _AROUND:
                kind, channel, size = _HEAD.unpack_from(data, begin)
                if left >= size + _AROUND:
                    self._at = end = begin + size + _AROUND
                    if data[end - 1] != _END:
                        raise InvalidFrameError("a frame has no end byte where its size puts it")
                    if not self._tapped(kind, channel, begin + _HEAD.size, end - 1):
                        return self._decode(kind, channel, begin, end)
                    continue
            await self._read_more()

    async def _read_more(self) -> None:
        rest = self._data[self._at :]
        if not rest and self.reader.at_eof():
            raise StopAsyncIteration
        try:
            received = await self.reader.read(READ_BYTES)
        except OSError as lost:
            raise AMQPConnectionError(f"Server connection lost: {lost!r}") from lost
        if not received:
            raise AMQPConnectionError(f"Server connection unexpectedly closed, {len(rest)} bytes into a frame")
        self._data, self._at = rest + received, 0
        self._on_data()

    def _tapped(self, kind: int, channel: int, begin: int, end: int) -> bool:
        """Whether a tap has handled the payload between `begin` and `end`: a part of a delivery, or a confirm."""
        tap = self._tap_of(channel) if channel else None
        try:
            if isinstance(tap, DeliveryTap):
                return self._delivered(tap, kind, begin, end)
            if isinstance(tap, ConfirmTap) and kind == _METHOD_FRAME:
                return self._method(begin) == Basic.Ack.index and tap.on_ack(self._data, begin + _METHOD.size)
        except (struct.error, IndexError) as wrong:
            raise InvalidFrameError(f"a frame ends too early: {wrong}") from wrong
        return False

    def _delivered(self, tap: DeliveryTap, kind: int, begin: int, end: int) -> bool:
        if kind == _BODY_FRAME:
            return tap.on_body(self._data[begin:end])
        if kind == _HEADER_FRAME:
            return tap.on_header(self._data, begin, end)
        if kind != _METHOD_FRAME or self._method(begin) != Basic.Deliver.index:
            return False
        tap.on_deliver(self._data, begin + _METHOD.size)
        return True

    def _method(self, begin: int) -> int:
        index: int = _METHOD.unpack_from(self._data, begin)[0]
        return index

    def _decode(self, kind: int, channel: int, begin: int, end: int) -> ReceivedFrame:
        if kind == _BODY_FRAME:
            return end - begin, channel, ContentBody(self._data[begin + _HEAD.size : end - 1])
        try:
            return codec.unmarshal(self._data[begin:end])
        except PAMQPException as wrong:
            raise InvalidFrameError(str(wrong)) from wrong
