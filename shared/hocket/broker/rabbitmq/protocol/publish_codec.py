"""Encodes one message as the frames of a publish, and refuses messages that would break the connection."""

import struct
from functools import lru_cache

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as ClientChannel
from pamqp import commands, encode

from hocket.broker.port import MAX_HEADER_BYTES, Message, Published, Verdict

#: Longest name of an exchange, key, type or id, in bytes; longest name of a header.
MAX_SHORT_BYTES = 255
MAX_HEADER_NAME_BYTES = 128
#: What the encoding adds to a header's name and value, in bytes.
HEADER_EXTRA_BYTES = 6
#: Routes whose encoded `basic.publish` is cached.
KNOWN_ROUTES = 1024

_FRAME = struct.Struct(">BHI")  # type, channel, size of the payload
_HEAD = struct.Struct(">BHIHHQH")  # the same, then class, weight, size of the body, property flags
_HEAD_BYTES = _HEAD.size - _FRAME.size
_HEADER_FRAME, _BODY_FRAME, _END = 2, 3, b"\xce"
_BASIC = 60
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE, _PRIORITY, _CORRELATION_ID = 1 << 15, 1 << 13, 1 << 12, 1 << 11, 1 << 10
_MESSAGE_ID, _TIMESTAMP, _TYPE, _APP_ID = 1 << 7, 1 << 6, 1 << 5, 1 << 3
_ALWAYS = _DELIVERY_MODE | _PRIORITY | _MESSAGE_ID
#: Persistent, and priority "normal" (RabbitMQ 4.3 reads a missing one as 4, the client would send 0).
_PERSISTENT_NORMAL = bytes((2, 4))


def unsendable(message: Message) -> Published | None:
    """The refusal of a message that would break the connection for all others; None if it can be sent."""
    names = {
        "exchange": message.exchange,
        "routing key": message.routing_key,
        "type": message.type,
        "correlation id": message.correlation_id,
        "content type": message.content_type,
    }
    for what, text in names.items():
        if len(text.encode()) > MAX_SHORT_BYTES:
            return Published(Verdict.REFUSED, f"{what} is longer than {MAX_SHORT_BYTES} bytes: {text[:40]}…")
    size = 0
    for name, value in message.headers.items():
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            return Published(Verdict.REFUSED, f"header {name} does not fit in 64 bits: {value}")
        if len(name.encode()) > MAX_HEADER_NAME_BYTES:
            return Published(Verdict.REFUSED, f"header {name[:40]}… has a name over {MAX_HEADER_NAME_BYTES} bytes")
        size += len(name.encode()) + (len(value.encode()) if isinstance(value, str) else 8) + HEADER_EXTRA_BYTES
    if size > MAX_HEADER_BYTES:
        return Published(Verdict.REFUSED, f"headers have {size} bytes together, at most {MAX_HEADER_BYTES} are allowed")
    return None


def publish_frames(channel: ClientChannel, message: Message, message_id: str) -> bytes:
    """One message as its encoded frames: persistent, mandatory."""
    number, body, largest = channel.number, message.body, channel.max_content_size
    parts = [_method(number, message.exchange, message.routing_key), _header(number, message, message_id)]
    for start in range(0, len(body), largest):
        part = body if len(body) <= largest else body[start : start + largest]
        parts += (_FRAME.pack(_BODY_FRAME, number, len(part)), part, _END)
    return b"".join(parts)


def _header(number: int, message: Message, message_id: str) -> bytes:
    """The content header, packed by hand: looking up each property by name, as the client's codec does, costs most."""
    flags, parts = _ALWAYS, []
    if message.content_type:
        flags |= _CONTENT_TYPE
        parts.append(_short(message.content_type))
    if message.headers:
        flags |= _HEADERS
        parts.append(encode.field_table(dict(message.headers)))
    parts.append(_PERSISTENT_NORMAL)
    if message.correlation_id:
        flags |= _CORRELATION_ID
        parts.append(_short(message.correlation_id))
    parts.append(_short(message_id))
    if message.timestamp:
        flags |= _TIMESTAMP
        parts.append(int(message.timestamp).to_bytes(8, "big"))
    if message.type:
        flags |= _TYPE
        parts.append(_short(message.type))
    if message.app_id:
        flags |= _APP_ID
        parts.append(_short(message.app_id))
    properties = b"".join(parts)
    head = _HEAD.pack(_HEADER_FRAME, number, _HEAD_BYTES + len(properties), _BASIC, 0, len(message.body), flags)
    return head + properties + _END


def _short(text: str) -> bytes:
    raw = text.encode()
    return bytes((len(raw),)) + raw


@lru_cache(maxsize=KNOWN_ROUTES)
def exchange_check(number: int, exchange: str) -> bytes:
    """Encoded check that an exchange exists: the broker answers only if it does not, by closing the channel (404)."""
    check = commands.Exchange.Declare(exchange=exchange, passive=True, nowait=True)
    return ChannelFrame.marshall(number, [check]).payload


@lru_cache(maxsize=KNOWN_ROUTES)
def _method(number: int, exchange: str, routing_key: str) -> bytes:
    publish = commands.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return ChannelFrame.marshall(number, [publish]).payload
