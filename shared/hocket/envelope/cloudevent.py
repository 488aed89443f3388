"""The envelope: CloudEvents 1.0.2 attributes around one event (docs/wire.md#envelope).

It is encoded as structured JSON, canonical by RFC 8785, so that the body stays the same byte for byte in queues, dead
letters, exports and replays. Foreign events in structured or binary mode are read too; missing attributes are derived
(RULES 2.1).
"""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple

from hocket.clock import rfc3339
from hocket.envelope.attributes import (
    CONTENT_TYPE,
    KNOWN,
    MAX_TYPE_BYTES,
    check_content_type,
    check_texts,
    derived_subject,
    moment_of,
    revision_of,
    schema_of,
    shown,
    take_extensions,
    unpacked,
    version_of,
)
from hocket.envelope.canonical_json import (
    MAX_DEPTH,
    MAX_WRITTEN_DEPTH,
    Json,
    canonical,
    data_hash,
    has_long,
    hash_of,
    read_canonical,
    read_json,
    within,
)
from hocket.envelope.keys import correlation_of
from hocket.envelope.packing import ENCODING, unpack
from hocket.errors import Undecodable

__all__ = [
    "CONTENT_TYPE",
    "MARKER_TYPE",
    "OVERDUE_TYPE",
    "UNDO_TYPE",
    "Envelope",
    "Json",
    "Received",
    "canonical",
    "data_hash",
    "decode",
    "encode",
    "hash_of",
    "read",
    "read_json",
]

#: Type of the kit's own undo envelopes.
UNDO_TYPE = "hocket.undo"
#: Type of the alarm of a time-out that is due, which a service sends to itself (RULES 5.7).
OVERDUE_TYPE = "hocket.overdue"
#: Type of a marker, which a service writes into the log while one of its subscriptions reads history (RULES 7.5 b).
MARKER_TYPE = "hocket.marker"
#: The types that hocket has itself: the data of some contains an envelope.
_OWN = frozenset({UNDO_TYPE, OVERDUE_TYPE, MARKER_TYPE})
#: Types with this prefix belong to the kit.
OWN_TYPES = "hocket."

_STRUCTURED = "application/cloudevents"
#: Header prefixes of the AMQP binding, in both spellings, and of Knative on RabbitMQ.
_PREFIXES = ("cloudEvents_", "cloudEvents:", "ce-")
#: The first bytes of a canonical body of ours, and the bytes before and after its data. In a text, quotes are escaped.
_BEGINNINGS = (b'{"causationid":"', b'{"correlationid":"')
_DATA, _BEHIND_DATA = b'"data":', b',"datacontenttype":'
#: A text that needs no escape and is within every bound.
_TEXT = rf'"([ !#-\[\]-~]{{1,{MAX_TYPE_BYTES}}})"'
#: A body as `encode` writes it. The members around data are fixed, so that the whole is canonical where data is.
_OURS = re.compile(
    rf'\{{(?:"causationid":{_TEXT},)?"correlationid":{_TEXT},"data":(\{{.*\}}),"datacontenttype":"application/json",'
    rf'"dataschema":{_TEXT},"id":{_TEXT},"idempotencykey":{_TEXT},"source":{_TEXT},"specversion":"1\.0",'
    rf'"subject":{_TEXT},"time":{_TEXT}(?:,"traceparent":{_TEXT})?(?:,"tracestate":{_TEXT})?,"type":{_TEXT}\}}',
    re.DOTALL,
)


class Envelope(NamedTuple):
    """One event with its attributes. `source` and `id` together are its identity and never change."""

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
    extensions: Mapping[str, str | int | bool] = MappingProxyType({})  # of foreign publishers


class Received(NamedTuple):
    """An event as it was read: the envelope, its data as canonical JSON, and what is in there.

    `body` is the whole, where it came as `encode` writes it.
    """

    envelope: Envelope
    data: bytes
    long: bool = False  # a number in the data has more digits than a double holds
    body: bytes = b""


def encode(envelope: Envelope, *, heard: bool = False) -> bytes:
    """The body of an event: canonical structured CloudEvents JSON. Raises `Unsayable` if the data is not JSON.

    `heard`: the data was read from a delivery, and its numbers are written as they were read.
    """
    ours = encode_ours(envelope, heard=heard)
    return ours if ours is not None else encode_any(envelope, heard=heard)


def encode_any(envelope: Envelope, *, heard: bool) -> bytes:
    """As `encode`, for every event; slower than `encode_ours`, which takes most."""
    data = envelope.data
    whole: dict[str, Json] = {
        "correlationid": envelope.correlation_id,
        "data": data if type(data) is dict else dict(data),
        "datacontenttype": "application/json",
        "dataschema": schema_of(envelope.type, envelope.version),
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
    return canonical(whole, MAX_WRITTEN_DEPTH if envelope.type in _OWN else MAX_DEPTH + 1, heard=heard)


def encode_ours(envelope: Envelope, *, heard: bool) -> bytes | None:
    """As `encode`, in half the time, for an event of ours whose texts need no escape; None for another one."""
    (id, source, type_, version, subject, time, flow, key, data, causation, revision, parent, state, more) = envelope
    schema = schema_of(type_, version)
    texts = f"{id}{source}{type_}{schema}{subject}{flow}{key}{causation}{parent}{state}"
    if revision or more or not texts.isascii() or not texts.isprintable() or '"' in texts or "\\" in texts:
        return None
    depth = MAX_WRITTEN_DEPTH - 1 if type_ in _OWN else MAX_DEPTH
    written = canonical(data if type(data) is dict else dict(data), depth, heard=heard)
    cause = f'"causationid":"{causation}",' if causation else ""
    if parent or state:
        parent = (parent and f',"traceparent":"{parent}"') + (state and f',"tracestate":"{state}"')
    before = f'{{{cause}"correlationid":"{flow}","data":'
    behind = (
        f',"datacontenttype":"application/json","dataschema":"{schema}","id":"{id}","idempotencykey":"{key}",'
        f'"source":"{source}","specversion":"1.0","subject":"{subject}","time":"{rfc3339(time)}"{parent},"type":"{type_}"}}'
    )
    return before.encode() + written + behind.encode()


def decode(body: bytes, content_type: str, headers: Mapping[str, object], now: datetime) -> Envelope:
    """Read a structured or binary CloudEvent. Missing attributes are derived; a missing time is `now`.

    Raises `Undecodable` with the attribute, `body`, `data` or `content_type`, and the cause; it never quotes the data.
    """
    return read(body, content_type, headers, now).envelope


def read(body: bytes, content_type: str, headers: Mapping[str, object], now: datetime) -> Received:
    """As `decode`, with the data as canonical JSON. For a body that hocket wrote, that is a slice of its bytes."""
    if (packing := headers.get(ENCODING)) is not None:
        body = unpack(body, packing)
    if content_type == CONTENT_TYPE and body.startswith(_BEGINNINGS):
        if (ours := read_ours(body)) is not None:
            return ours
        whole = read_canonical(body, MAX_DEPTH + 1)
        if isinstance(whole, dict) and type(whole.get("data")) is dict and "datacontenttype" in whole:
            envelope = _envelope(whole, now, binary=False)
            if not envelope.extensions:  # one of them could stand between `_DATA` and `_BEHIND_DATA`
                return Received(envelope, body[body.index(_DATA) + len(_DATA) : body.rindex(_BEHIND_DATA)])
            return Received(envelope, canonical(dict(envelope.data)))
    envelope = _read(body, content_type, headers, now)
    data = dict(envelope.data)
    return Received(envelope, canonical(data, heard=True), has_long(data))


def read_ours(body: bytes) -> Received | None:
    """As `read`, in half the time, for a body of ours in ASCII; None where it is another one, or has a fault."""
    if not body.isascii() or (found := _OURS.fullmatch(body.decode("ascii"))) is None:
        return None
    causation, correlation, _, schema, id, key, source, subject, time, traceparent, tracestate, type = found.groups()
    raw = body[found.start(3) : found.end(3)]
    data: Any = read_canonical(raw)  # an object: it begins with a brace
    if data is None or type.startswith(OWN_TYPES):
        return None
    version, foreign = version_of(schema, type)
    if foreign:
        return None
    envelope = Envelope(
        id, source, type, version, subject, moment_of(time), correlation, key, data,
        causation or "", 0, traceparent or "", tracestate or "", {},
    )  # fmt: skip
    return Received(envelope, raw, body=body)


def _read(body: bytes, content_type: str, headers: Mapping[str, object], now: datetime) -> Envelope:
    mode = content_type[: len(_STRUCTURED)].lower()
    if mode == _STRUCTURED:
        check_content_type(content_type, "content_type", structured=True)
        whole = read_json(body, "body", MAX_WRITTEN_DEPTH)
        if not isinstance(whole, dict):
            raise Undecodable("body", "is not a JSON object")
        if body.count(b"{") + body.count(b"[") > MAX_DEPTH and whole.get("type") not in _OWN:
            _check_depth(whole.get("data"))
        return _envelope(whole, now, binary=False)
    return _envelope(_binary(body, content_type, headers), now, binary=True)


def _envelope(whole: dict[str, Any], now: datetime, *, binary: bool) -> Envelope:
    """The envelope of received attributes and data."""
    if (spec := whole.get("specversion")) != "1.0":
        raise Undecodable("specversion", "is missing" if spec is None else "is not 1.0")
    check_texts(whole)
    text: dict[str, str | None] = whole  # what was checked
    id, source, type = whole["id"], whole["source"], whole["type"]
    if type.startswith(OWN_TYPES) and type not in _OWN:
        raise Undecodable("type", f"types {OWN_TYPES}* belong to hocket, which has no such type")
    version, schema = version_of(text.get("dataschema") or "", type)
    data = _data(whole)
    extensions: dict[str, str | int | bool] = {"dataschema": schema} if schema else {}
    if not whole.keys() <= KNOWN:
        take_extensions(whole, extensions)
    moment = whole.get("time")
    return Envelope(
        id,
        source,
        type,
        version,
        text.get("subject") or derived_subject(type, id),
        now if moment is None else moment_of(moment),
        text.get("correlationid") or correlation_of(source, id),
        text.get("idempotencykey") or id,
        data,
        text.get("causationid") or "",
        revision_of(whole.get("revision"), binary),
        text.get("traceparent") or "",
        text.get("tracestate") or "",
        extensions,
    )


def _data(whole: dict[str, object]) -> dict[str, Json]:
    """The data object, empty if absent or null. `data_base64` is read if it is JSON."""
    check_content_type(whole.get("datacontenttype"), "datacontenttype", structured=False)
    data = whole.get("data")
    if (packed := whole.get("data_base64")) is not None:
        if data is not None:
            raise Undecodable("data_base64", "is present together with data")
        if not isinstance(packed, str):
            raise Undecodable("data_base64", "is not text")
        try:
            data = read_json(base64.b64decode(packed, validate=True), "data_base64")
        except (binascii.Error, ValueError):
            raise Undecodable("data_base64", "is not base64") from None
    if data is None:
        return {}
    if type(data) is not dict:
        raise Undecodable("data", "is not a JSON object")
    return data


def _check_depth(data: Json) -> None:
    if not within(data, MAX_DEPTH):
        raise Undecodable("data", f"is nested deeper than {MAX_DEPTH}")


def _binary(body: bytes, content_type: str, headers: Mapping[str, object]) -> dict[str, object]:
    """Attributes from headers `cloudEvents_NAME`, `cloudEvents:NAME` or `ce-NAME`, data from the body."""
    whole: dict[str, object] = {}
    for header, value in headers.items():
        for prefix in _PREFIXES:
            if header.startswith(prefix):
                name = header[len(prefix) :]
                given = unpacked(name, value)
                if whole.setdefault(name, given) != given:
                    raise Undecodable(shown(name), "is in the headers twice, with two values")
    if not whole:
        raise Undecodable(
            "content_type", "is not application/cloudevents+json, and there are no cloudEvents_* headers either"
        )
    if whole.keys() & {"data", "data_base64"}:
        raise Undecodable("data", "is in the headers")
    whole["datacontenttype"] = content_type or None
    whole["data"] = read_json(body, "data") if body else None
    return whole
