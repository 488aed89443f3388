"""The frames before a delivery's body: our parser against the client's own codec."""

import struct
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from pamqp.commands import Basic
from pamqp.header import ContentHeader as ClientHeader

from hocket.broker.rabbitmq.protocol.delivery_codec import (
    ContentHeader,
    DeliverMethod,
    parse_content_header,
    parse_deliver,
)

SHORT = st.text(max_size=40).filter(lambda text: len(text.encode(errors="replace")) <= 255)
NAMES = st.from_regex(r"\A[a-zA-Z0-9._:-]{0,40}\Z")
TEXTS = SHORT.filter(lambda text: text.isprintable() and bool(text))


@given(tag=st.integers(1, 2**63 - 1), redelivered=st.booleans(), names=st.tuples(TEXTS, NAMES, TEXTS))
def test_what_deliver_says(tag: int, redelivered: bool, names: tuple[str, str, str]) -> None:
    """Tag, redelivered flag, exchange and routing key, wherever the frame lies in what has come."""
    consumer, exchange, key = names
    frame = Basic.Deliver(consumer, tag, redelivered, exchange, key).marshal()
    assert parse_deliver(b"before" + frame + b"behind", 6) == DeliverMethod(tag, redelivered, exchange, key)


@given(
    size=st.integers(0, 2**40),
    properties=st.fixed_dictionaries(
        {},
        optional={
            "content_type": TEXTS,
            "content_encoding": TEXTS,
            "headers": st.dictionaries(TEXTS, st.integers(-(2**31), 2**31 - 1) | TEXTS, min_size=1, max_size=4),
            "delivery_mode": st.sampled_from([1, 2]),
            "priority": st.integers(0, 255),
            "correlation_id": TEXTS,
            "reply_to": TEXTS,
            "expiration": TEXTS,
            "message_id": TEXTS,
            "timestamp": st.just(datetime(2026, 1, 1, tzinfo=UTC)),
            "message_type": TEXTS,
            "app_id": TEXTS,
        },
    ),
)
def test_what_the_header_says(size: int, properties: dict[str, object]) -> None:
    """Size, content type, headers and message id, whichever other properties stand between them.

    RULES 1.5: `content-encoding` is one of the headers, so that it goes where they go.
    """
    frame = ClientHeader(body_size=size, properties=Basic.Properties(**properties)).marshal()  # type: ignore[arg-type]
    found = parse_content_header(b"before" + frame + b"behind", 6, 6 + len(frame))
    kind, name = properties.get("content_type", ""), properties.get("message_id", "")
    headers: dict[str, object] = dict(properties.get("headers", {}))  # type: ignore[call-overload]
    if "content_encoding" in properties:
        headers["content-encoding"] = properties["content_encoding"]
    assert found == ContentHeader(size, str(kind), headers, str(name))


def test_what_cannot_be_decoded_is_left_out() -> None:
    """Broken UTF-8 and a broken table affect that delivery only; the properties after them are still found."""
    flags = 1 << 15 | 1 << 13 | 1 << 7
    table = b"\x01a?????"
    frame = struct.pack(">HHQH", 60, 0, 5, flags) + b"\x02\xff\xfe" + struct.pack(">I", len(table)) + table + b"\x01m"
    assert parse_content_header(frame, 0, len(frame)) == ContentHeader(5, "\N{REPLACEMENT CHARACTER}" * 2, {}, "m")


def test_further_flags_are_passed_over() -> None:
    """Further flag words, which AMQP 0-9-1 leaves empty, only shift what follows."""
    frame = struct.pack(">HHQHHH", 60, 0, 5, 1 << 15 | 1, 1, 0) + b"\x01t"
    assert parse_content_header(frame, 0, len(frame)) == ContentHeader(5, "t", {}, "")
