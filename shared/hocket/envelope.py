"""The envelope: CloudEvents 1.0.2 attributes around one event (DESIGN §3).

Encoded as structured JSON, canonical by RFC 8785: one body that survives queues, dead letters, exports and replays
byte for byte. Foreign events in structured or binary mode are understood, missing attributes derived (RULES 2.1).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

from hocket.canonical import MAX_DEPTH, MAX_WRITTEN_DEPTH, Json, canonical, data_hash, read_json, within
from hocket.clock import rfc3339
from hocket.errors import Undecodable
from hocket.ids import correlation_of

__all__ = ["CONTENT_TYPE", "UNDO_TYPE", "Envelope", "Json", "canonical", "data_hash", "decode", "encode", "read_json"]

#: Content type of everything hocket publishes.
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
#: Type and version of the kit's own undo envelopes.
UNDO_TYPE = "hocket.undo"
#: Types of this prefix belong to the kit.
OWN_TYPES = "hocket."
#: Bytes of one attribute: ids and routing keys travel as short strings of AMQP.
MAX_ATTRIBUTE_BYTES = 255
#: Bytes of a type, so that `TYPE.vN` is still a short string.
MAX_TYPE_BYTES = 240
#: Bytes of `tracestate` (W3C) and of one extension of a foreign publisher.
MAX_EXTENSION_BYTES = 1024
#: Extensions of one foreign event.
MAX_EXTENSIONS = 64
#: The highest version of an event and the highest revision of a letter.
MAX_VERSION = 1_000_000
#: Whole numbers of CloudEvents attributes have 32 bits.
MAX_INTEGER = 2**31 - 1

_STRUCTURED = "application/cloudevents"
#: AMQP's own binding, in both spellings, and the one of RabbitMQ's users (Knative).
_PREFIXES = ("cloudEvents_", "cloudEvents:", "ce-")
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")
_NAME = re.compile(r"[a-z0-9]{1,64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_KNOWN = frozenset({
    "specversion", "datacontenttype", "id", "source", "type", "dataschema", "subject", "time", "correlationid",
    "causationid", "idempotencykey", "revision", "traceparent", "tracestate", "data", "data_base64",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Envelope:
    """One event as it travels. `source` and `id` together are its identity and never change."""

    id: str
    source: str
    type: str
    version: int
    subject: str
    time: datetime
    correlation_id: str
    idempotency_key: str
    data: Mapping[str, Json]
    causation_id: str = ""
    revision: int = 0
    traceparent: str = ""
    tracestate: str = ""
    extensions: Mapping[str, str | int | bool] = field(default_factory=dict)  # of foreign publishers, kept


def encode(envelope: Envelope) -> bytes:
    """The one body of an event: structured CloudEvents JSON, canonical; `Unsayable` where data is no JSON."""
    data = envelope.data
    whole: dict[str, Json] = {
        "correlationid": envelope.correlation_id,
        "data": data if type(data) is dict else dict(data),
        "datacontenttype": "application/json",
        "dataschema": f"{envelope.type}/{envelope.version}",
        "id": envelope.id,
        "idempotencykey": envelope.idempotency_key,
        "source": envelope.source,
        "specversion": "1.0",
        "subject": envelope.subject,
        "time": rfc3339(envelope.time),
        "type": envelope.type,
    }
    if envelope.causation_id:
        whole["causationid"] = envelope.causation_id
    if envelope.revision:
        whole["revision"] = envelope.revision
    if envelope.traceparent:
        whole["traceparent"] = envelope.traceparent
    if envelope.tracestate:
        whole["tracestate"] = envelope.tracestate
    if envelope.extensions:
        whole.update(envelope.extensions)
    return canonical(whole, MAX_WRITTEN_DEPTH if envelope.type == UNDO_TYPE else MAX_DEPTH + 1)


def decode(body: bytes, content_type: str, headers: Mapping[str, object], now: datetime) -> Envelope:
    """Read a structured or binary CloudEvent; what it lacks is derived, a missing time is `now`.

    `Undecodable` names the attribute, `body`, `data` or `content_type`, and the cause; it never quotes the data.
    """
    mode = content_type[: len(_STRUCTURED)].lower()
    if mode == _STRUCTURED:
        _check_content_type(content_type, "content_type", structured=True)
        whole = read_json(body, "body", MAX_WRITTEN_DEPTH)
        if not isinstance(whole, dict):
            raise Undecodable("body", "is no JSON object")
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH and whole.get("type") != UNDO_TYPE:
            _check_depth(whole.get("data"))
        return _envelope(cast("dict[str, object]", whole), now, binary=False)
    return _envelope(_binary(body, content_type, headers), now, binary=True)


def _envelope(whole: dict[str, object], now: datetime, *, binary: bool) -> Envelope:
    """The envelope of attributes and data as they came."""
    if (spec := whole.get("specversion")) != "1.0":
        raise Undecodable("specversion", "is missing" if spec is None else "is not 1.0")
    id = _needed(whole, "id", MAX_ATTRIBUTE_BYTES)
    source = _needed(whole, "source", MAX_ATTRIBUTE_BYTES)
    type = _needed(whole, "type", MAX_TYPE_BYTES)
    if type.startswith(OWN_TYPES) and type != UNDO_TYPE:
        raise Undecodable("type", f"types {OWN_TYPES}* belong to the kit, and it has no such type")
    version, schema = _version(_text(whole, "dataschema", MAX_EXTENSION_BYTES), type)
    data = _data(whole)
    extensions: dict[str, str | int | bool] = {"dataschema": schema} if schema else {}
    if len(whole.keys() | _KNOWN) > len(_KNOWN):
        _take_extensions(whole, extensions)
    moment = whole.get("time")
    return Envelope(
        id=id,
        source=source,
        type=type,
        version=version,
        subject=_text(whole, "subject", MAX_ATTRIBUTE_BYTES) or _derived_subject(type, id),
        time=now if moment is None else _time(moment),
        correlation_id=_text(whole, "correlationid", MAX_ATTRIBUTE_BYTES) or correlation_of(source, id),
        idempotency_key=_text(whole, "idempotencykey", MAX_ATTRIBUTE_BYTES) or id,
        data=data,
        causation_id=_text(whole, "causationid", MAX_ATTRIBUTE_BYTES),
        revision=_revision(whole.get("revision"), binary),
        traceparent=_text(whole, "traceparent", MAX_ATTRIBUTE_BYTES),
        tracestate=_text(whole, "tracestate", MAX_EXTENSION_BYTES),
        extensions=extensions,
    )


def _text(whole: dict[str, object], name: str, most: int) -> str:
    """A text attribute, "" where it is absent or null; present it must not be empty."""
    value = whole.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Undecodable(name, "is no text")
    if not value:
        raise Undecodable(name, "is empty")
    _check_text(name, value, most)
    return value


def _needed(whole: dict[str, object], name: str, most: int) -> str:
    value = _text(whole, name, most)
    if not value:
        raise Undecodable(name, "is missing")
    return value


def _check_text(name: str, value: str, most: int) -> None:
    if not value.isprintable() and _CONTROL.search(value):
        raise Undecodable(name, "has a control character")
    if len(value) > most or (not value.isascii() and len(value.encode()) > most):
        raise Undecodable(name, f"is longer than {most} bytes")


def _derived_subject(type: str, id: str) -> str:
    """`TYPE/ID`, cut to the bound where both are long: still the same for the same event."""
    return f"{type}/{id}".encode()[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")


def _version(schema: str, type: str) -> tuple[int, str]:
    """The version of `TYPE/N`, 1 without a schema; a schema of a foreign publisher is version 1 and kept."""
    if not schema:
        return 1, ""
    if not schema.startswith(f"{type}/"):
        return 1, schema
    number = schema[len(type) + 1 :]
    if not _NUMBER.fullmatch(number) or int(number) > MAX_VERSION:
        raise Undecodable("dataschema", f"is not TYPE/N with N from 1 to {MAX_VERSION}")
    return int(number), ""


def _revision(value: object, binary: bool) -> int:
    if value is None:
        return 0
    if binary and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 1 <= value <= MAX_VERSION:
        raise Undecodable("revision", f"is no whole number from 1 to {MAX_VERSION}")
    return value


def _time(value: object) -> datetime:
    """RFC 3339, or the timestamp of an AMQP header; in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if not isinstance(value, str):
        raise Undecodable("time", "is no text")
    if len(value) > MAX_ATTRIBUTE_BYTES or not _TIME.fullmatch(value):
        raise Undecodable("time", "is no RFC 3339 time with an offset")
    try:
        return datetime.fromisoformat(value.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Undecodable("time", "names a moment that does not exist") from None


def _data(whole: dict[str, object]) -> dict[str, Json]:
    """The data object; absent or null it is empty. `data_base64` is read where it holds JSON."""
    _check_content_type(whole.get("datacontenttype"), "datacontenttype", structured=False)
    data = whole.get("data")
    if (packed := whole.get("data_base64")) is not None:
        if data is not None:
            raise Undecodable("data_base64", "stands beside data")
        if not isinstance(packed, str):
            raise Undecodable("data_base64", "is no text")
        try:
            data = read_json(base64.b64decode(packed, validate=True), "data_base64")
        except (binascii.Error, ValueError):
            raise Undecodable("data_base64", "is no base64") from None
    if data is None:
        return {}
    if type(data) is not dict:
        raise Undecodable("data", "is no JSON object")
    return data


def _check_depth(data: Json) -> None:
    if not within(data, MAX_DEPTH):
        raise Undecodable("data", f"is nested deeper than {MAX_DEPTH}")


def _check_content_type(value: object, name: str, *, structured: bool) -> None:
    """Structured: `application/cloudevents+json`; otherwise nothing, `application/json` or `application/…+json`."""
    if value is None or (not structured and value == "application/json"):
        return
    if not isinstance(value, str) or len(value) > MAX_ATTRIBUTE_BYTES:
        raise Undecodable(name, "is no media type")
    media, *parameters = (part.strip().lower() for part in value.split(";"))
    if structured and media != "application/cloudevents+json":
        raise Undecodable(name, "is not application/cloudevents+json (batches and other formats are not read)")
    if not structured and not (media in {"application/json", "text/json"} or media.endswith("+json")):
        raise Undecodable(name, "is no JSON")
    for parameter in parameters:
        key, _, setting = parameter.partition("=")
        if key.strip() == "charset" and setting.strip().strip('"') not in _UTF8:
            raise Undecodable(name, "has a charset other than UTF-8")


def _take_extensions(whole: dict[str, object], into: dict[str, str | int | bool]) -> None:
    """What a foreign publisher added: kept, and encoded again."""
    for name, value in whole.items():
        if name in _KNOWN or value is None:
            continue
        if not _NAME.fullmatch(name):
            raise Undecodable("extensions", "a name has other signs than a-z and 0-9 or more than 64")
        if isinstance(value, str):
            _check_text(name, value, MAX_EXTENSION_BYTES)
        elif not isinstance(value, int):
            raise Undecodable(name, "is neither text nor a whole number nor a boolean")
        elif not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
            raise Undecodable(name, "has more than 32 bits")
        into[name] = value
        if len(into) > MAX_EXTENSIONS:
            raise Undecodable("extensions", f"are more than {MAX_EXTENSIONS}")


def _binary(body: bytes, content_type: str, headers: Mapping[str, object]) -> dict[str, object]:
    """Attributes from headers `cloudEvents_NAME`, `cloudEvents:NAME` or `ce-NAME`, data from the body."""
    whole: dict[str, object] = {}
    for header, value in headers.items():
        for prefix in _PREFIXES:
            if header.startswith(prefix):
                name = header[len(prefix) :]
                given = _unpacked(name, value)
                if whole.setdefault(name, given) != given:
                    raise Undecodable(_shown(name), "stands twice in the headers, with two values")
    if not whole:
        raise Undecodable(
            "content_type", "is not application/cloudevents+json, and there are no cloudEvents_* headers either"
        )
    if whole.keys() & {"data", "data_base64"}:
        raise Undecodable("data", "stands in the headers")
    whole["datacontenttype"] = content_type or None
    whole["data"] = read_json(body, "data") if body else None
    return whole


def _unpacked(name: str, value: object) -> object:
    """A header's value as an attribute: bytes are text, a whole number of milliseconds is a time (AMQP's timestamp)."""
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise Undecodable(_shown(name), "is not UTF-8") from None
    if name == "time" and type(value) is int:
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise Undecodable("time", "names a moment that does not exist") from None
    return value


def _shown(name: str) -> str:
    """A foreign name as an error may show it."""
    return name if _NAME.fullmatch(name) else "headers"
