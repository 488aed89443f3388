"""Confirms straight from the socket's reader to the messages they are for, without a task, a queue and a scan for each.

The client puts an ack through the channel's queue and task, and looks at every message under way where it is for
several. `ConfirmTap` stands in that queue's place and takes acks at once, except behind frames that the channel's own
reader has not read yet: what was returned is told so before it is acked.
"""

import struct

from aiormq.channel import Channel as WireChannel
from aiormq.channel import Returning

from hocket.broker.rabbitmq.protocol.frame_tap import FrameTap

_ACK = struct.Struct(">QB")


class ConfirmTap(FrameTap):
    """The queue of frames of one publishing channel; made, and so in place, before anything is published."""

    def __init__(self, channel: WireChannel) -> None:
        super().__init__(channel)
        self._channel = channel
        self._lowest = 1  # everything below has its answer

    def acked(self, data: bytes, at: int) -> bool:
        """`basic.ack`, its arguments at `at`; False: the channel's reader has to come first."""
        if not self._rest.empty():
            return False
        tag, multiple = _ACK.unpack_from(data, at)
        confirmations = self._channel.confirmations
        first = self._lowest if multiple & 1 else tag
        for each in range(first, tag + 1):
            waiting = confirmations.pop(each, None)
            if waiting is not None and not isinstance(waiting, Returning):
                waiting.set_result(None)
        if first == self._lowest:
            self._lowest = tag + 1
        return True
