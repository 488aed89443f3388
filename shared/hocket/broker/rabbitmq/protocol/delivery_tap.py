"""Hands deliveries from the socket reader directly to the consumer, without the client's queue and tasks.

The client puts every frame of a channel into a queue, reads them back in a task of the channel, and starts a task for
each delivery. `DeliveryTap` replaces that queue: `FrameReader` gives it the frames of deliveries directly from its
buffer; all other frames go on to the channel's own reader.
"""

from collections.abc import Callable

from aiormq.channel import Channel as ClientChannel

from hocket.broker.rabbitmq.protocol.delivery_codec import (
    ContentHeader,
    DeliverMethod,
    parse_content_header,
    parse_deliver,
)
from hocket.broker.rabbitmq.protocol.frame_tap import FrameTap

#: Receives a delivery: its `basic.deliver`, its content header, its body.
OnDelivery = Callable[[DeliverMethod, ContentHeader, bytes], None]


class DeliveryTap(FrameTap):
    """The frame queue of one consuming channel; create it before the channel consumes."""

    def __init__(self, channel: ClientChannel, on_delivery: OnDelivery) -> None:
        super().__init__(channel)
        self._on_delivery = on_delivery
        self._method: DeliverMethod | None = None
        self._header: ContentHeader | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    def on_deliver(self, data: bytes, at: int) -> None:
        """`basic.deliver`, with its arguments at `at`; its content follows before any other frame of the channel."""
        self._method = parse_deliver(data, at)

    def on_header(self, data: bytes, at: int, end: int) -> bool:
        """The content header between `at` and `end`; False if it does not belong to a delivery."""
        if self._method is None:
            return False
        self._header = parse_content_header(data, at, end)
        self._missing = self._header.size
        if not self._missing:
            self._complete()
        return True

    def on_body(self, part: bytes) -> bool:
        """A part of the body; False if it does not belong to a delivery."""
        if self._header is None:
            return False
        self._parts.append(part)
        self._missing -= len(part)
        if self._missing <= 0:
            self._complete()
        return True

    def _complete(self) -> None:
        method, header, parts = self._method, self._header, self._parts
        self._method, self._header, self._parts = None, None, []
        assert method is not None
        assert header is not None
        self._on_delivery(method, header, parts[0] if len(parts) == 1 else b"".join(parts))
