"""Reads a message of the dead-letter queue as the arrival of a letter; no input makes it fail. Pure."""

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from hocket.clock import rfc3339
from hocket.envelope import Envelope, decode
from hocket.envelope.keys import death_id
from hocket.errors import Undecodable
from hocket.observe import Raw

#: Longest name (subscription, cause, id) that is kept; longer ones are cut.
MAX_NAME = 255
#: Longest error text that is kept, in characters.
MAX_ERROR = 2_000
#: Header with the foreign headers of the delivery, as JSON that must not be cut, and its longest text.
KEPT = "hocket-death-headers"
MAX_KEPT = 10_000
#: Longest stack of one attempt that is kept, in characters.
MAX_TRACE = 16_000
#: Attempts of one arrival that are kept; the newest.
MAX_HISTORY = 10
#: An identity that can stand in an address; of another one the letter gets an identity of its own.
_ADDRESSABLE = re.compile(r"[\w~:-][\w.~:-]*", re.ASCII)
#: Moment used to read an envelope that carries none; never shown.
_NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)

#: Causes that the broker gives itself (`x-death`), in words.
BROKER_CAUSES: Mapping[str, str] = {
    "delivery_limit": "the broker gave it up: delivered too often without an ack",
    "expired": "the broker gave it up: it waited longer than the queue keeps messages",
    "maxlen": "the broker gave it up: the queue was full",
    "rejected": "the broker gave it up: a consumer rejected it",
}


@dataclass(frozen=True, slots=True)
class Run:
    """One attempt, from the letter's history."""

    attempt: int
    began: str = ""
    ended: str = ""
    word: str = ""
    cause: str = ""
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class About:
    """The envelope's attributes, where the letter could be read."""

    event_id: str = ""
    source: str = ""
    type: str = ""
    version: int = 0
    subject: str = ""
    correlation_id: str = ""
    causation_id: str = ""
    idempotency_key: str = ""
    event_time: str = ""
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One arrival of a letter: what died, why, and what it was before."""

    death_id: str
    subscription: str
    cause: str
    error: str
    attempt: int
    time: str  # RFC 3339 of the death; "" where the letter does not say
    replay: str
    spoke: bool
    by_broker: bool
    body: bytes
    content_type: str
    headers: Mapping[str, Any]
    history: tuple[Run, ...] = ()
    about: About = field(default_factory=About)


def text(value: object, limit: int = MAX_NAME) -> str:
    """A header value as text that every store takes, cut to `limit` characters; broken UTF-8 and NUL are replaced."""
    if value is None:
        return ""
    if isinstance(value, bytes | bytearray):
        value = bytes(value).decode("utf-8", "replace")
    return str(value)[:limit].encode("utf-8", "replace").decode().replace("\x00", "\ufffd")


def number(value: object, default: int) -> int:
    """A header value as a whole number from 0; `default` where it is not one below 2**31."""
    try:
        found = int(text(value, 20))
    except ValueError:
        return default
    return found if 0 <= found < 2**31 else default


def plain(value: object) -> Any:
    """A header value as JSON can keep it."""
    match value:
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)
        case datetime():
            return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
        case Mapping():
            return {text(key): plain(each) for key, each in value.items()}
        case list() | tuple():
            return [plain(each) for each in value]
        case _:
            return text(value, MAX_ERROR)


def read(raw: Raw) -> Arrival:
    """Read one letter; nothing in it can make this fail."""
    headers = raw.headers
    deaths = _deaths(headers.get("x-death"))
    first = deaths[-1] if deaths else {}
    named = text(headers.get("hocket-death-id"))
    known = named if _ADDRESSABLE.fullmatch(named) else ""
    subscription = text(headers.get("hocket-death-subscription")) or text(first.get("queue")) or text(raw.routing_key)
    reason = text(first.get("reason"))
    attempt = number(headers.get("hocket-death-attempt"), 0) or number(headers.get("hocket-attempt"), 1) or 1
    return Arrival(
        death_id=known or _identity(raw, subscription, first),
        subscription=subscription or "unknown",
        cause=text(headers.get("hocket-death-cause")) or reason or "unknown",
        error=text(headers.get("hocket-death-error"), MAX_ERROR) or BROKER_CAUSES.get(reason, ""),
        attempt=attempt,
        time=moment(headers.get("hocket-death-time")) or moment(first.get("time")),
        replay=text(headers.get("hocket-replay")),
        spoke=text(headers.get("hocket-death-spoke")) == "1",
        by_broker=not named,
        body=raw.body,
        content_type=text(raw.content_type),
        headers={
            text(name): text(value, MAX_KEPT) if name == KEPT else plain(value) for name, value in headers.items()
        },
        history=tuple(_runs(headers.get("hocket-death-history"))),
        about=_about(envelope_of(raw.body, raw.content_type, headers)),
    )


def envelope_of(body: bytes, content_type: str, headers: Mapping[str, object]) -> Envelope | None:
    """The envelope of a letter, also where its attributes stood in headers; None: it cannot be read."""
    foreign = _json(headers.get(KEPT))
    known = dict(foreign) if isinstance(foreign, dict) else {}
    try:
        return decode(body, content_type, {**headers, **known}, now=_NO_TIME)
    except Undecodable:
        return None


def moment(value: object) -> str:
    """A point in time as RFC 3339 in UTC with microseconds; "" where it is not one."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return rfc3339(datetime.fromtimestamp(value, UTC))
        except (OverflowError, OSError, ValueError):
            return ""
    if not isinstance(value, datetime):
        try:
            value = datetime.fromisoformat(text(value))
        except ValueError:
            return ""
    try:
        return rfc3339(value if value.tzinfo else value.replace(tzinfo=UTC))
    except (OverflowError, ValueError):
        return ""


def _identity(raw: Raw, subscription: str, first: Mapping[str, object]) -> str:
    """Identity of a death made by the broker (RULES 8.1): queue, body and, if known, first death."""
    if not first:
        return death_id(subscription, raw.body.hex())
    died = f"{text(first.get('queue'))} {text(first.get('reason'))} {moment(first.get('time'))}"
    return death_id(subscription, raw.body.hex(), died)


def _deaths(value: object) -> list[Mapping[str, object]]:
    """`x-death`, the newest first; the last is the first death."""
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, list | tuple) else []


def _json(value: object) -> object:
    try:
        return json.loads(text(value, 64 * 1024))
    except (ValueError, RecursionError):
        return None


def _runs(value: object) -> Iterable[Run]:
    found = _json(value)
    for each in (found if isinstance(found, list) else [])[-MAX_HISTORY:]:
        if isinstance(each, dict):
            yield Run(
                number(each.get("attempt"), 0),
                moment(each.get("began")),
                moment(each.get("ended")),
                text(each.get("word")),
                text(each.get("cause")),
                text(each.get("error"), MAX_ERROR),
                text(each.get("trace"), MAX_TRACE),
            )


def _about(envelope: Envelope | None) -> About:
    if envelope is None:
        return About()
    return About(
        envelope.id,
        envelope.source,
        envelope.type,
        envelope.version,
        envelope.subject,
        envelope.correlation_id,
        envelope.causation_id,
        envelope.idempotency_key,
        rfc3339(envelope.time) if envelope.time != _NO_TIME else "",
        envelope.revision,
    )
