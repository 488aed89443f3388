"""Deliveries straight from the socket's reader to the consumer, without a task and two queues for each.

The client puts every frame of a channel into a queue, reads them back in a task of the channel, and starts a task a
delivery. `DeliveryTap` stands in that queue's place: our reader (`frame_reader`) hands it the frames of deliveries as
they lie in its buffer, and all others go on to the channel's own reader.
"""

from collections.abc import Callable

from aiormq.channel import Channel as WireChannel

from hocket.broker.rabbitmq.protocol.delivery_codec import ContentHeader, DeliverMethod, announced, content
from hocket.broker.rabbitmq.protocol.frame_tap import FrameTap

#: Takes a delivery: how it was announced, what its header says, its body.
Arrived = Callable[[DeliverMethod, ContentHeader, bytes], None]


class DeliveryTap(FrameTap):
    """The queue of frames of one consuming channel; made, and so in place, before the channel consumes."""

    def __init__(self, channel: WireChannel, arrived: Arrived) -> None:
        super().__init__(channel)
        self._arrived = arrived
        self._announced: DeliverMethod | None = None
        self._content: ContentHeader | None = None
        self._parts: list[bytes] = []
        self._missing = 0

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
