"""Hands publisher confirms from the socket reader directly to the waiting messages, without the client's queue.

The client passes an ack through the channel's queue and task, and looks at every unconfirmed message when the ack
covers several. `ConfirmTap` replaces that queue and handles acks at once, unless frames wait that the channel's own
reader has not read yet: a returned message must be reported as returned before its ack is seen.
"""

import struct

from aiormq.channel import Channel as ClientChannel
from aiormq.channel import Returning

from hocket.broker.rabbitmq.protocol.frame_tap import FrameTap

_ACK = struct.Struct(">QB")


class ConfirmTap(FrameTap):
    """The frame queue of one publishing channel; create it before anything is published."""

    def __init__(self, channel: ClientChannel) -> None:
        super().__init__(channel)
        self._channel = channel
        self._lowest = 1  # all tags below are confirmed

    def on_ack(self, data: bytes, at: int) -> bool:
        """`basic.ack`, with its arguments at `at`; False if the channel's own reader has to handle it."""
        if not self._rest.empty():
            return False
        tag, multiple = _ACK.unpack_from(data, at)
        confirmations = self._channel.confirmations
        first = self._lowest if multiple & 1 else tag
        for each in range(first, tag + 1):
            pending = confirmations.pop(each, None)
            if pending is not None and not isinstance(pending, Returning):
                pending.set_result(None)
        if first == self._lowest:
            self._lowest = tag + 1
        return True
