"""Invalid and hostile envelopes raise `Undecodable` with the field, never another error."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.envelope import (
    CONTENT_TYPE,
    Envelope,
    Json,
    decode,
    encode,
)
from hocket.envelope.attributes import MAX_ATTRIBUTE_BYTES, MAX_EXTENSIONS, MAX_TYPE_BYTES
from hocket.envelope.canonical_json import MAX_DEPTH, MAX_SAFE
from hocket.errors import Undecodable

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
MINIMAL: dict[str, Json] = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"}

NUMBERS = st.integers(-MAX_SAFE, MAX_SAFE) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def structured(*without: str, **other: Any) -> bytes:
    """A structured event of a foreign publisher."""
    return json.dumps({name: value for name, value in (MINIMAL | other).items() if name not in without}).encode()


def read(body: bytes, content_type: str = CONTENT_TYPE, **headers: object) -> Envelope:
    """Decode it."""
    return decode(body, content_type, headers, NOW)


def refusal(body: bytes, content_type: str = CONTENT_TYPE, headers: dict[str, object] | None = None) -> Undecodable:
    """The error of decoding it."""
    with pytest.raises(Undecodable) as refused:
        decode(body, content_type, headers or {}, NOW)
    return refused.value


@pytest.mark.parametrize(
    ("field", "other"),
    [
        ("specversion", {"specversion": "0.3"}),
        ("specversion", {"specversion": 1.0}),
        ("id", {"id": ""}),
        ("id", {"id": None}),
        ("id", {"id": 7}),
        ("id", {"id": "a\x00b"}),
        ("id", {"id": "é" * 128}),
        ("source", {"source": "a\nb"}),
        ("source", {"source": "x" * (MAX_ATTRIBUTE_BYTES + 1)}),
        ("type", {"type": []}),
        ("type", {"type": "x" * (MAX_TYPE_BYTES + 1)}),
        ("type", {"type": "hocket.receipt"}),
        ("type", {"type": "order\x85placed"}),
        ("dataschema", {"dataschema": "order.placed/0"}),
        ("dataschema", {"dataschema": "order.placed/two"}),
        ("dataschema", {"dataschema": "order.placed/01"}),
        ("dataschema", {"dataschema": "order.placed/9999999"}),
        ("dataschema", {"dataschema": "urn:hocket:order.placed:0"}),
        ("dataschema", {"dataschema": "urn:hocket:order.placed:two"}),
        ("dataschema", {"dataschema": "urn:hocket:order.placed:"}),
        ("dataschema", {"dataschema": "urn:hocket:order.placed:01"}),
        ("dataschema", {"dataschema": 1}),
        ("subject", {"subject": ""}),
        ("subject", {"subject": "x" * 256}),
        ("time", {"time": "yesterday"}),
        ("time", {"time": "2026-11-24"}),
        ("time", {"time": "2026-11-24T10:00:00"}),
        ("time", {"time": "2026-13-24T10:00:00Z"}),
        ("time", {"time": "0001-01-01T00:00:00+01:00"}),
        ("time", {"time": "2026-11-24T10:00:00.5Z" + "0" * 500}),
        ("time", {"time": 1763937366}),
        ("correlationid", {"correlationid": ""}),
        ("causationid", {"causationid": 1}),
        ("idempotencykey", {"idempotencykey": {"a": 1}}),
        ("revision", {"revision": 0}),
        ("revision", {"revision": True}),
        ("revision", {"revision": "1"}),
        ("revision", {"revision": 1.5}),
        ("traceparent", {"traceparent": "\u2028".join("ab") + "\x01"}),
        ("tracestate", {"tracestate": "x" * 2000}),
        ("data", {"data": [1]}),
        ("data", {"data": "text"}),
        ("data_base64", {"data": {}, "data_base64": "e30="}),
        ("data_base64", {"data_base64": "no base64"}),
        ("data_base64", {"data_base64": "é"}),
        ("data_base64", {"data_base64": 5}),
        ("data_base64", {"data_base64": "AAAA"}),
        ("datacontenttype", {"datacontenttype": "application/xml"}),
        ("datacontenttype", {"datacontenttype": "application/json; charset=latin-1"}),
        ("datacontenttype", {"datacontenttype": 5}),
        ("extensions", {"Not-A-Name": "x"}),
        ("extensions", {"x" * 65: "x"}),
        ("extensions", {f"x{number}": "" for number in range(MAX_EXTENSIONS + 1)}),
        ("region", {"region": 1.5}),
        ("region", {"region": ["eu"]}),
        ("region", {"region": 2**31}),
        ("region", {"region": "x" * 2000}),
        ("region", {"region": "\x7f"}),
    ],
)
def test_hostile_attributes_are_refused(field: str, other: dict[str, Any]) -> None:
    """An invalid attribute is refused with its name and a cause that does not quote it."""
    refused = refusal(structured(**other))
    assert refused.field == field
    assert refused.cause


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_four_attributes_cannot_be_derived(name: str) -> None:
    """The attributes that identify an event or say how to read it are required."""
    refused = refusal(structured(name))
    assert (refused.field, refused.cause) == (name, "is missing")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'{"specversion":"1.0"',
        b"\xff" + structured(),
        structured()[:-1] + b',"id":"2"}',
        structured()[:-1] + b',"data":{"a":NaN}}',
        structured()[:-1] + b',"data":' + b'{"a":' * 50_000,
        structured()[:-1] + b',"data":{"a":"\\ud800"}}',
    ],
)
def test_hostile_bodies_are_refused(body: bytes) -> None:
    """Invalid UTF-8, duplicate keys, NaN and deep nesting are reported for `body`."""
    assert refusal(body).field == "body"


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", "application/octet-stream", "\x00"])
def test_a_structured_body_under_another_content_type_is_refused(content_type: str) -> None:
    """The content type decides; the body is not guessed at."""
    assert refusal(structured(), content_type).field == "content_type"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents-batch+json",
        "application/cloudevents+avro",
        "application/cloudevents+json; charset=utf-16",
    ],
)
def test_other_formats_are_refused(content_type: str) -> None:
    """Batches, other formats and other charsets are refused."""
    assert refusal(structured(), content_type).field == "content_type"
    assert read(structured(), "Application/CloudEvents+JSON; Charset=UTF-8; x=y").id == "1"


@pytest.mark.parametrize(
    ("field", "headers", "body"),
    [
        ("specversion", {"cloudEvents_id": "1"}, b"{}"),
        ("id", {"cloudEvents_specversion": "1.0", "cloudEvents_id": "1", "cloudEvents:id": "2"}, b"{}"),
        ("data", {"cloudEvents_data": "{}"}, b"{}"),
        ("data", {"cloudEvents_specversion": "1.0"}, b"no JSON"),
        ("id", {"cloudEvents_specversion": "1.0", "cloudEvents_id": b"\xff"}, b"{}"),
        ("headers", {"cloudEvents_A\n": b"\xff"}, b"{}"),
        ("time", {"cloudEvents_time": 10**30}, b"{}"),
        ("time", {"cloudEvents_time": 10**15}, b"{}"),
        (
            "revision",
            {"ce-specversion": "1.0", "ce-id": "1", "ce-source": "a", "ce-type": "t", "ce-revision": "x"},
            b"",
        ),
    ],
)
def test_hostile_headers_are_refused(field: str, headers: dict[str, object], body: bytes) -> None:
    """Binary mode is as strict as structured mode."""
    assert refusal(body, "application/json", headers).field == field


def test_only_an_undo_may_nest_an_envelope() -> None:
    """Data deeper than the bound is refused, also if the body as a whole is not too deep."""
    deep: Json = {}
    for _ in range(MAX_DEPTH + 1):
        deep = {"a": deep}
    refused = refusal(structured(data=deep))
    assert (refused.field, "deep" in refused.cause) == ("data", True)


ATTRIBUTES = st.sampled_from(
    ["specversion", "id", "source", "type", "time", "dataschema", "subject", "data", "data_base64", "revision", "x"]
)
ANY: st.SearchStrategy[Any] = VALUES | st.just("1.0") | st.binary(max_size=5) | st.just(NOW)


@given(st.binary(max_size=80) | st.dictionaries(ATTRIBUTES, VALUES).map(lambda whole: structured(**whole)), st.data())
def test_anything_decodes_or_names_what_is_wrong(body: bytes, data: st.DataObject) -> None:
    """Any bytes give an envelope that can be encoded, or `Undecodable` with a field."""
    headers = data.draw(st.dictionaries(ATTRIBUTES.map("cloudEvents_{}".format), ANY, max_size=6))
    content_type = data.draw(st.sampled_from([CONTENT_TYPE, "application/json", ""]) | st.text(max_size=20))
    try:
        envelope = decode(body, content_type, headers, NOW)
    except Undecodable as error:
        refused = error
    else:
        assert read(encode(envelope)) == envelope
        return
    assert refused.field
    assert refused.cause
