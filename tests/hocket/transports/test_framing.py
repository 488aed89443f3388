"""A message as it goes over the wire, as the client's own codec reads it back."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pamqp import frame as codec
from pamqp.commands import Basic

from hocket.transport import Message
from hocket.transports.rabbitmq.framing import frames_of

SHORT = st.text(max_size=60).filter(lambda text: len(text.encode(errors="replace")) <= 255 and text.isprintable())
NAMES = st.from_regex(r"\A[a-zA-Z0-9._:-]{0,40}\Z")
MESSAGES = st.builds(
    Message,
    exchange=NAMES,
    routing_key=NAMES,
    body=st.binary(max_size=5000),
    content_type=SHORT,
    headers=st.dictionaries(SHORT.filter(bool), SHORT | st.integers(-(2**63), 2**63 - 1), max_size=4),
    type=SHORT,
    correlation_id=SHORT,
    app_id=SHORT,
    timestamp=st.just(0.0) | st.floats(1, 2**32),
)


@given(message=MESSAGES, number=st.integers(1, 2047), room=st.integers(1, 4096))
def test_the_frames_say_what_the_message_says(message: Message, number: int, room: int) -> None:
    """Every property that is given, none that is not; the body in frames of at most the size that was agreed."""
    channel: Any = SimpleNamespace(number=number, max_content_size=room)
    data = frames_of(channel, message, "m-1")
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
    assert all(0 < len(each.value) <= room for each in bodies)
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
