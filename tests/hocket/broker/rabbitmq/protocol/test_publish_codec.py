"""The encoded frames of a message, as the client's own codec decodes them."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame as codec
from pamqp.commands import Basic

from hocket.broker.port import Message, Published, Verdict
from hocket.broker.rabbitmq.protocol.publish_codec import MAX_HEADER_NAME_BYTES, publish_frames, unsendable

SHORT = st.text(max_size=60).filter(lambda text: len(text.encode(errors="replace")) <= 255 and text.isprintable())
HEADER_NAMES = SHORT.filter(lambda text: 0 < len(text.encode()) <= MAX_HEADER_NAME_BYTES)
NAMES = st.from_regex(r"\A[a-zA-Z0-9._:-]{0,40}\Z")
#: From 2**32 on the codec reads milliseconds.
TIMES = st.just(0.0) | st.floats(1, 2**32 - 1)
MESSAGES = st.builds(
    Message,
    exchange=NAMES,
    routing_key=NAMES,
    body=st.binary(max_size=5000),
    content_type=SHORT,
    headers=st.dictionaries(HEADER_NAMES, SHORT | st.integers(-(2**63), 2**63 - 1), max_size=4),
    type=SHORT,
    correlation_id=SHORT,
    app_id=SHORT,
    timestamp=TIMES,
)


@given(message=MESSAGES, number=st.integers(1, 2047), largest=st.integers(1, 4096))
def test_the_frames_say_what_the_message_says(message: Message, number: int, largest: int) -> None:
    """Every property that is given, none that is not; the body in frames of at most the size that was agreed."""
    channel: Any = SimpleNamespace(number=number, max_content_size=largest)
    data = publish_frames(channel, message, "m-1")
    frames: list[Any] = []
    while data:
        size, channel_number, frame = codec.unmarshal(data)
        assert channel_number == number
        frames.append(frame)
        data = data[size:]
    publish, header, *bodies = frames
    assert (publish.exchange, publish.routing_key, publish.mandatory) == (message.exchange, message.routing_key, True)
    assert b"".join(each.value for each in bodies) == message.body
    assert header.body_size == len(message.body)
    assert all(0 < len(each.value) <= largest for each in bodies)
    wanted = Basic.Properties(
        content_type=message.content_type or None,
        headers=dict(message.headers) or None,
        delivery_mode=2,
        priority=4,
        correlation_id=message.correlation_id or None,
        message_id="m-1",
        timestamp=datetime.fromtimestamp(int(message.timestamp), UTC) if message.timestamp else None,
        message_type=message.type or None,
        app_id=message.app_id or None,
    )
    assert dict(header.properties) == dict(wanted)


@pytest.mark.parametrize("letter", ["h", "é", "\U0001d400"])
def test_a_header_name_that_the_codec_would_cut_is_refused(letter: str) -> None:
    """The codec cuts longer names silently: the bound counts bytes, whatever the letters."""
    longest = letter * (MAX_HEADER_NAME_BYTES // len(letter.encode()))
    message = Message(exchange="", routing_key="q", body=b"", content_type="", headers={longest: "v"})
    assert unsendable(message) is None
    refused = unsendable(message._replace(headers={longest + "h": "v"}))
    assert isinstance(refused, Published)
    assert refused.verdict is Verdict.REFUSED
    assert "has a name over 128 bytes" in refused.reason
