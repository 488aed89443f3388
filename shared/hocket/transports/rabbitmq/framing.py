"""One message as bytes on the wire, and what must never get there."""

from datetime import UTC, datetime
from functools import lru_cache

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel as WireChannel
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader

from hocket.transport import MAX_HEADER_BYTES, Message, Published, Verdict

#: Longest name of an exchange, key, type or id, in bytes; longest name of a header.
MAX_SHORT_BYTES = 255
MAX_HEADER_NAME_BYTES = 128
#: What the wire adds to a header's name and value, in bytes.
HEADER_EXTRA_BYTES = 6
#: Routes whose `basic.publish` is remembered as it goes over the wire.
KNOWN_ROUTES = 1024
#: Priority "normal" (RabbitMQ 4.3 takes a missing one as 4, the client would send 0).
NORMAL = 4


def unsendable(message: Message) -> Published | None:
    """Refuse what would break the connection for everybody: it never reaches the broker."""
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
        return Published(Verdict.REFUSED, f"headers have {size} bytes together, at most {MAX_HEADER_BYTES} travel")
    return None


def frames_of(channel: WireChannel, message: Message, message_id: str) -> bytes:
    """One message as it goes over the wire: persistent, mandatory."""
    properties = commands.Basic.Properties(
        content_type=message.content_type or None,
        headers=dict(message.headers) or None,
        delivery_mode=2,
        priority=NORMAL,
        correlation_id=message.correlation_id or None,
        message_id=message_id,
        timestamp=datetime.fromtimestamp(message.timestamp, UTC) if message.timestamp else None,
        message_type=message.type or None,
        app_id=message.app_id or None,
    )
    room = channel.max_content_size
    bodies = [ContentBody(message.body[start : start + room]) for start in range(0, len(message.body), room)]
    header = ContentHeader(body_size=len(message.body), properties=properties)
    content = ChannelFrame.marshall(channel.number, [header, *bodies]).payload
    return _method(channel.number, message.exchange, message.routing_key) + content


@lru_cache(maxsize=KNOWN_ROUTES)
def standing(number: int, exchange: str) -> bytes:
    """The question whether an exchange stands: no answer where it does, else the broker ends the channel (404)."""
    asks = commands.Exchange.Declare(exchange=exchange, passive=True, nowait=True)
    return ChannelFrame.marshall(number, [asks]).payload


@lru_cache(maxsize=KNOWN_ROUTES)
def _method(number: int, exchange: str, routing_key: str) -> bytes:
    publish = commands.Basic.Publish(exchange=exchange, routing_key=routing_key, mandatory=True)
    return ChannelFrame.marshall(number, [publish]).payload
