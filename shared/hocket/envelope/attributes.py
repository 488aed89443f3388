"""Checks received envelope attributes: what CloudEvents 1.0.2 allows, within the bounds of AMQP's short strings.

Each check raises `Undecodable` with the attribute's name and the cause, and never quotes a value.
"""

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from hocket.clock import rfc3339
from hocket.errors import Undecodable

#: Content type of everything hocket publishes.
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"
#: Bytes of one attribute: ids and routing keys are AMQP short strings.
MAX_ATTRIBUTE_BYTES = 255
#: Bytes of a type, so that `TYPE.vN` fits in a short string.
MAX_TYPE_BYTES = 240
#: Bytes of `tracestate` (W3C) and of one extension of a foreign publisher.
MAX_EXTENSION_BYTES = 1024
#: Extensions of one foreign event.
MAX_EXTENSIONS = 64
#: The highest version of an event and the highest revision of a letter.
MAX_VERSION = 1_000_000
#: Schemas whose version, or whose URI, is cached.
KNOWN_SCHEMAS = 1024
#: What the URI of a schema of ours begins with: `urn:hocket:TYPE:N` (ADR 25).
SCHEMA_BEGINNING = "urn:hocket:"
#: Integers in CloudEvents attributes have 32 bits.
MAX_INTEGER = 2**31 - 1

_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})
#: What CloudEvents forbids in a text: control characters, halves of surrogate pairs, and characters that are none.
_CONTROL = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef"
    + "".join(chr(p << 16 | e) for p in range(17) for e in (0xFFFE, 0xFFFF))
    + "]"
)
_NUMBER = re.compile(r"[1-9][0-9]{0,6}")
_NAME = re.compile(r"[a-z0-9]{1,64}")
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
#: Every attribute that hocket knows; others are extensions.
KNOWN = frozenset({
    "specversion", "datacontenttype", "id", "source", "type", "dataschema", "subject", "time", "correlationid",
    "causationid", "idempotencykey", "revision", "traceparent", "tracestate", "data", "data_base64",
})  # fmt: skip
_NEEDED = frozenset({"id", "source", "type"})
#: The text attributes and their bounds in bytes.
_TEXTS = {
    "id": MAX_ATTRIBUTE_BYTES,
    "source": MAX_ATTRIBUTE_BYTES,
    "type": MAX_TYPE_BYTES,
    "dataschema": MAX_EXTENSION_BYTES,
    "subject": MAX_ATTRIBUTE_BYTES,
    "correlationid": MAX_ATTRIBUTE_BYTES,
    "idempotencykey": MAX_ATTRIBUTE_BYTES,
    "causationid": MAX_ATTRIBUTE_BYTES,
    "traceparent": MAX_ATTRIBUTE_BYTES,
    "tracestate": MAX_EXTENSION_BYTES,
}


def _all_plain(whole: dict[str, Any]) -> bool:
    """The fast path, which is nearly always taken: all texts are present, short, and plain ASCII."""
    values = [value for name in _TEXTS if (value := whole.get(name)) is not None]
    try:
        joined = "".join(values)
    except TypeError:
        return False
    if not all(values) or not all(map(whole.get, _NEEDED)) or not joined.isascii() or not joined.isprintable():
        return False
    return len(joined) <= MAX_TYPE_BYTES or max(map(len, values)) <= MAX_TYPE_BYTES


def check_texts(whole: dict[str, object]) -> None:
    """Check the text attributes: each is absent, null, or a text that is not empty and within its bound."""
    if _all_plain(whole):
        return
    for name, most in _TEXTS.items():
        value = whole.get(name)
        if value is None:
            if name in _NEEDED:
                raise Undecodable(name, "is missing")
            continue
        if not isinstance(value, str):
            raise Undecodable(name, "is not text")
        if not value:
            raise Undecodable(name, "is empty")
        _check_text(name, value, most)


def _check_text(name: str, value: str, most: int) -> None:
    if fault := text_fault(value, most):
        raise Undecodable(name, fault)


def text_fault(value: str, most: int = MAX_ATTRIBUTE_BYTES) -> str:
    """Why a text may not be an attribute, "" where it may: one rule for what is said and what is read."""
    if not value.isprintable() and _CONTROL.search(value):
        return "has a control character"
    if len(value) > most or (not value.isascii() and len(value.encode()) > most):
        return f"is longer than {most} bytes"
    return ""


def is_traceparent(text: str) -> bool:
    """Whether a text is a traceparent by W3C's rules; of a version to come the beginning is checked."""
    found = _TRACEPARENT.fullmatch(text)
    if found is None or found[1] == "ff" or not found[2].strip("0") or not found[3].strip("0"):
        return False
    return found[1] != "00" or not found[4]


def derived_subject(type: str, id: str) -> str:
    """`TYPE/ID`, cut to the bound; the same event always gives the same text."""
    return f"{type}/{id}".encode()[:MAX_ATTRIBUTE_BYTES].decode(errors="ignore")


@lru_cache(maxsize=KNOWN_SCHEMAS)
def schema_of(type: str, version: int) -> str:
    """The `dataschema` of an event, a URI: `urn:hocket:payment.charged:1` (ADR 25)."""
    return f"{SCHEMA_BEGINNING}{_in_urn(type)}:{version}"


@lru_cache(maxsize=KNOWN_SCHEMAS)
def version_of(schema: str, type: str) -> tuple[int, str]:
    """The version N of `urn:hocket:TYPE:N`, or of `TYPE/N` as earlier releases wrote it, and the schema to keep.

    Another schema is kept and means version 1.
    """
    if not schema:
        return 1, ""
    for beginning in (f"{SCHEMA_BEGINNING}{_in_urn(type)}:", f"{type}/"):
        if schema.startswith(beginning):
            number = schema[len(beginning) :]
            if not _NUMBER.fullmatch(number) or int(number) > MAX_VERSION:
                raise Undecodable("dataschema", f"is not {SCHEMA_BEGINNING}TYPE:N with N from 1 to {MAX_VERSION}")
            return int(number), ""
    return 1, schema


def _in_urn(type: str) -> str:
    """A type as a part of a URN: what RFC 8141 does not allow there is percent-encoded, `:` too."""
    return quote(type, safe="")


def revision_of(value: object, binary: bool) -> int:
    """The revision, at least 1; 0 where there is none. In binary mode it may be text."""
    if value is None:
        return 0
    if binary and isinstance(value, str) and _NUMBER.fullmatch(value):
        value = int(value)
    if type(value) is not int or not 1 <= value <= MAX_VERSION:
        raise Undecodable("revision", f"is not a whole number from 1 to {MAX_VERSION}")
    return value


def moment_of(value: object) -> datetime:
    """The moment of an RFC 3339 text or of an AMQP timestamp, in UTC."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if not isinstance(value, str):
        raise Undecodable("time", "is not text")
    if len(value) > MAX_ATTRIBUTE_BYTES or not _TIME.fullmatch(value):
        raise Undecodable("time", "is not an RFC 3339 time with an offset")
    if leap := value[17:19] == "60":  # Python has no leap second: it is the second after 59
        value = f"{value[:17]}59{value[19:]}"
    try:
        moment = datetime.fromisoformat(value if value[-1] == "Z" and value[10] == "T" else value.upper())
        if leap:
            moment += timedelta(seconds=1)
        return moment if moment.tzinfo is UTC else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Undecodable("time", "is not an existing moment") from None


def check_content_type(value: object, name: str, *, structured: bool) -> None:
    """Check a media type: `application/cloudevents+json` if structured, else none or one of JSON."""
    if value is None or value == (CONTENT_TYPE if structured else "application/json"):
        return
    if not isinstance(value, str) or len(value) > MAX_ATTRIBUTE_BYTES:
        raise Undecodable(name, "is not a media type")
    media, *parameters = (part.strip().lower() for part in value.split(";"))
    if structured and media != "application/cloudevents+json":
        raise Undecodable(name, "is not application/cloudevents+json (batches and other formats are not supported)")
    if not structured and not (media in {"application/json", "text/json"} or media.endswith("+json")):
        raise Undecodable(name, "is not JSON")
    for parameter in parameters:
        key, _, setting = parameter.partition("=")
        if key.strip() == "charset" and setting.strip().strip('"') not in _UTF8:
            raise Undecodable(name, "has a charset other than UTF-8")


def take_extensions(whole: dict[str, object], into: dict[str, str | int | bool]) -> None:
    """Check the extensions of a foreign publisher, and keep them for the next encoding."""
    for name, value in whole.items():
        if name in KNOWN or value is None:
            continue
        if not _NAME.fullmatch(name):
            raise Undecodable("extensions", "a name has characters other than a-z and 0-9, or more than 64")
        if isinstance(value, str):
            _check_text(name, value, MAX_EXTENSION_BYTES)
        elif not isinstance(value, int):
            raise Undecodable(name, "is neither text nor a whole number nor a boolean")
        elif not -MAX_INTEGER - 1 <= value <= MAX_INTEGER:
            raise Undecodable(name, "has more than 32 bits")
        into[name] = value
        if len(into) > MAX_EXTENSIONS:
            raise Undecodable("extensions", f"are more than {MAX_EXTENSIONS}")


def unpacked(name: str, value: object) -> object:
    """A header's value as an attribute: bytes and AMQP timestamps become text, `time` in milliseconds a moment."""
    if isinstance(value, bytes | bytearray):
        try:
            return bytes(value).decode()
        except UnicodeDecodeError:
            raise Undecodable(shown(name), "is not UTF-8") from None
    if name == "time" and type(value) is int:
        try:
            return datetime.fromtimestamp(value / 1000, UTC)
        except (ValueError, OverflowError, OSError):
            raise Undecodable("time", "is not an existing moment") from None
    if name != "time" and isinstance(value, datetime):
        return rfc3339(value.replace(tzinfo=UTC) if value.tzinfo is None else value)
    return value


def shown(name: str) -> str:
    """An attribute's name as an error may show it: `headers` for an invalid one."""
    return name if _NAME.fullmatch(name) else "headers"
