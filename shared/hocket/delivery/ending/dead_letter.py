"""A dead letter as a message: the body byte for byte, why it was given up, its identity where no inbox row keeps one.

Headers: docs/wire.md#dead-letters.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal

from hocket.broker.port import Message
from hocket.broker.topology import DEAD
from hocket.clock import rfc3339
from hocket.delivery.arrival import Arrival
from hocket.envelope.cloudevent import CONTENT_TYPE, encode
from hocket.envelope.keys import death_id
from hocket.envelope.packing import ENCODING
from hocket.outcome import Attempt, Bury

#: Attempts whose history is sent with a letter; the whole history is in the inbox row (RULES 1.6).
LETTER_ATTEMPTS = 3
#: Characters of one attempt's stack and of its error in the letter's headers.
LETTER_TRACE_CHARS = 2000
LETTER_ERROR_CHARS = 600
#: The same in bytes of JSON, and the bytes of the error's own header and of the foreign headers: all together are
#: below `port.MAX_HEADER_BYTES`, in every alphabet.
LETTER_TRACE_BYTES = 4000
LETTER_ATTEMPT_ERROR_BYTES = 1200
LETTER_ERROR_BYTES = 4000
FOREIGN_HEADER_BYTES = 8000
#: Characters of the subject that a dead head blocks.
BLOCKED_CHARS = 255
#: The longest name of a header, in bytes.
MAX_NAME_BYTES = 128
#: Prefixes of headers that belong to hocket or to the broker, and headers by which a broker routes.
NOT_FOREIGN = ("hocket-", "x-", "traceparent")
ROUTING = frozenset({"CC", "BCC"})
#: The header in which a letter keeps the foreign headers of its delivery, as JSON.
KEPT = "hocket-death-headers"


def body_of(arrival: Arrival) -> tuple[bytes, str]:
    """The body to send again: the same bytes; a foreign event in binary mode or compressed becomes structured JSON."""
    if arrival.envelope is None or (arrival.structured and ENCODING not in arrival.delivery.headers):
        return arrival.delivery.body, arrival.delivery.content_type
    return encode(arrival.envelope, heard=True), CONTENT_TYPE


def headers_of(arrival: Arrival) -> dict[str, str | int]:
    """The foreign headers that go with `body_of`: a body that was unpacked is sent without its `content-encoding`."""
    kept = foreign_of(arrival.delivery.headers)
    if arrival.envelope is not None:
        kept.pop(ENCODING, None)
    return kept


def identity_of(arrival: Arrival) -> str:
    """The letter's identity where no inbox row keeps one: a hash of subscription and body (RULES 8.1).

    The body of an event in binary mode does not contain its source and id: these are hashed with it.
    """
    envelope = arrival.envelope
    event = () if envelope is None or arrival.structured else (envelope.source, envelope.id)
    body = body_of(arrival)[0] if ENCODING in arrival.delivery.headers else arrival.delivery.body
    return death_id(arrival.subscription.queue, body.hex(), *event)


def letter(arrival: Arrival, bury: Bury, *, death: str, spoke: bool, history: Sequence[Attempt]) -> Message:
    """The message to exchange `hocket.dead`."""
    body, content_type = body_of(arrival)
    headers: dict[str, str | int] = {
        "hocket-death-id": death,
        "hocket-death-subscription": arrival.subscription.queue,
        "hocket-death-cause": bury.cause,
        "hocket-death-error": bury.error.encode()[:LETTER_ERROR_BYTES].decode(errors="ignore"),
        "hocket-death-time": rfc3339(arrival.ended),
        "hocket-death-attempt": arrival.attempt,
        "hocket-attempt": arrival.attempt,
        "hocket-death-spoke": int(spoke),
        "hocket-death-history": json.dumps([_attempt_json(each) for each in history[-LETTER_ATTEMPTS:]]),
    }
    if arrival.replay:
        headers["hocket-replay"] = arrival.replay
    if arrival.order is not None and arrival.order.blocks(bury, spoke):
        headers["hocket-death-blocks"] = arrival.order.subject[:BLOCKED_CHARS]
        headers["hocket-death-waiting"] = arrival.order.behind_it
    if foreign := headers_of(arrival):
        headers[KEPT] = json.dumps(foreign)
    envelope = arrival.envelope
    return Message(
        DEAD,
        arrival.subscription.queue,
        body,
        content_type,
        headers,
        type=envelope.type if envelope else "",
        correlation_id=envelope.correlation_id if envelope else "",
        app_id=arrival.subscription.service,
        timestamp=arrival.ended.timestamp(),
    )


def _attempt_json(attempt: Attempt) -> dict[str, str | int]:
    return {
        "attempt": attempt.attempt,
        "began": attempt.began,
        "ended": attempt.ended,
        "word": attempt.word,
        "cause": attempt.cause,
        "error": _fit(attempt.error[:LETTER_ERROR_CHARS], LETTER_ATTEMPT_ERROR_BYTES),
        "trace": _fit(attempt.trace[-LETTER_TRACE_CHARS:], LETTER_TRACE_BYTES, tail=True),
    }


def _fit(text: str, most: int, *, tail: bool = False) -> str:
    """The longest beginning (or tail) of the text that has at most `most` bytes as JSON."""
    while (size := len(json.dumps(text))) > most:
        keep = len(text) * most // size
        text = text[len(text) - keep :] if tail else text[:keep]
    return text


def foreign_of(headers: Mapping[str, object]) -> dict[str, str | int]:
    """Headers that belong neither to hocket nor to the broker, bounded; retry, letter and replay keep them (RULES 1.5).

    Only text and whole numbers that every broker accepts; booleans, timestamps, bytes and fractions become text. Of a
    letter those that it keeps.
    """
    kept: dict[str, str | int] = {}
    room = FOREIGN_HEADER_BYTES
    for name, given in _kept(headers).items() if KEPT in headers else headers.items():
        if name.startswith(NOT_FOREIGN) or name in ROUTING or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
            continue
        value = given if KEPT in headers else _as_text(given)
        if not _is_portable(name) or not isinstance(value, str | int) or not _is_portable(value):
            continue
        room -= len(json.dumps({name: value})) + 2
        if room < 0:
            break
        kept[name] = value
    return kept


def _as_text(value: object) -> object:
    """A value that AMQP knows and a letter's JSON does not, as text."""
    match value:
        case bool():
            return str(value).lower()
        case datetime():
            return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
        case bytes() | bytearray():
            return bytes(value).decode(errors="replace")
        case float() | Decimal():
            return str(value)
        case _:
            return value


def _is_portable(value: str | int) -> bool:
    """Whether every broker accepts it: UTF-8 text or a whole number of 64 bits."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode() == value
    return type(value) is int and -(2**63) <= value < 2**63


def _kept(headers: Mapping[str, object]) -> Mapping[str, object]:
    try:
        found = json.loads(str(headers[KEPT]))
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
