"""Parses the two frames before a delivery's body, `basic.deliver` and content header: only what the consumer needs."""

import struct
from collections.abc import Mapping
from typing import NamedTuple

from pamqp import decode

from hocket.envelope.packing import ENCODING

#: Delivery tag and redelivered flag, after the consumer tag of `basic.deliver`.
_TAG = struct.Struct(">QB")
#: Class, weight, size of the body and property flags at the beginning of a content header.
_HEAD = struct.Struct(">HHQH")
_CONTENT_TYPE, _CONTENT_ENCODING, _HEADERS, _DELIVERY_MODE, _PRIORITY = (1 << bit for bit in range(15, 10, -1))
_CORRELATION_ID, _REPLY_TO, _EXPIRATION, _MESSAGE_ID = (1 << bit for bit in range(10, 6, -1))
_MORE_FLAGS = 1

_NONE: Mapping[str, object] = {}


class DeliverMethod(NamedTuple):
    """The arguments of `basic.deliver` that are used."""

    tag: int
    redelivered: bool
    exchange: str
    routing_key: str


class ContentHeader(NamedTuple):
    """The fields of the content header that are used."""

    size: int  # of the body that follows, in bytes
    content_type: str
    headers: Mapping[str, object]
    message_id: str


def parse_deliver(data: bytes, at: int) -> DeliverMethod:
    """Parse the arguments of `basic.deliver`, which begin at `at`."""
    at += 1 + data[at]  # the consumer tag
    tag, flags = _TAG.unpack_from(data, at)
    exchange, at = _short(data, at + _TAG.size)
    routing_key, _ = _short(data, at)
    return DeliverMethod(tag, bool(flags & 1), exchange, routing_key)


def parse_content_header(data: bytes, at: int, end: int) -> ContentHeader:
    """Parse the content header between `at` and `end`.

    A property that cannot be decoded is left out: it affects this delivery only and must not end the connection.
    """
    _, _, size, flags = _HEAD.unpack_from(data, at)
    at += _HEAD.size
    more = flags & _MORE_FLAGS
    while more:  # further flag words hold no property of AMQP 0-9-1
        more = data[at + 1] & _MORE_FLAGS
        at += 2
    content_type = encoding = message_id = ""
    headers = _NONE
    if flags & _CONTENT_TYPE:
        content_type, at = _short(data, at)
    if flags & _CONTENT_ENCODING:
        encoding, at = _short(data, at)
    if flags & _HEADERS:
        length = 4 + int.from_bytes(data[at : at + 4], "big")
        headers = _table(data[at : min(at + length, end)])
        at += length
    if encoding:  # kept as a header, so that every retry, letter and replay carries it on (RULES 1.5)
        headers = {**headers, ENCODING: encoding}
    at += bool(flags & _DELIVERY_MODE) + bool(flags & _PRIORITY)
    if flags & _MESSAGE_ID:
        for flag in (_CORRELATION_ID, _REPLY_TO, _EXPIRATION):
            if flags & flag:
                at += 1 + data[at]
        message_id, at = _short(data, at)
    return ContentHeader(size, content_type, headers, message_id)


def _short(data: bytes, at: int) -> tuple[str, int]:
    end = at + 1 + data[at]
    return data[at + 1 : end].decode(errors="replace"), end


def _table(data: bytes) -> Mapping[str, object]:
    try:
        return decode.field_table(data)[1]
    except (ValueError, RecursionError):
        return _NONE
