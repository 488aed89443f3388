"""The envelope: hocket's own bytes and those of foreign publishers."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hocket.envelope import (
    CONTENT_TYPE,
    UNDO_TYPE,
    Envelope,
    Json,
    cloudevent,
    data_hash,
    decode,
    encode,
)
from hocket.envelope import read as read_whole
from hocket.envelope.attributes import MAX_VERSION
from hocket.envelope.canonical_json import MAX_DEPTH, MAX_SAFE, canonical, hash_of
from hocket.envelope.keys import correlation_of
from hocket.errors import Undecodable, Unsayable

NOW = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORDER = Envelope(
    id="0192f0c1-7b1a-7c3e-9d2f-1a2b3c4d5e6f",
    source="/orders",
    type="order.placed",
    version=2,
    subject="order/4711",
    time=datetime(2026, 11, 24, 9, 30, 0, 123456, UTC),
    correlation_id="0192f0c1-7b1a-7c3e-9d2f-000000000000",
    idempotency_key="0192f0c1-7b1a-8c3e-9d2f-1a2b3c4d5e6f",
    data={"order_id": "4711", "amount": 19.99, "lines": [{"sku": "A", "count": 2}], "note": None},
    causation_id="0192f0c1-7b1a-7c3e-9d2f-ffffffffffff",
    revision=1,
    traceparent=PARENT,
    tracestate="vendor=1",
)
MINIMAL: dict[str, Json] = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed"}

LINE = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=50)
NUMBERS = st.integers(-MAX_SAFE, MAX_SAFE) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
NAMES = st.from_regex(r"\Ax[a-z0-9]{0,9}\Z")
ENVELOPES = st.builds(
    Envelope,
    id=LINE,
    source=LINE,
    type=LINE.map(lambda text: f"t.{text}"),
    version=st.integers(1, MAX_VERSION),
    subject=LINE,
    time=st.datetimes(timezones=st.just(UTC)),
    correlation_id=LINE,
    idempotency_key=LINE,
    data=st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    causation_id=st.just("") | LINE,
    revision=st.integers(0, MAX_VERSION),
    traceparent=st.just("") | st.just(PARENT),
    tracestate=st.just("") | LINE,
    extensions=st.dictionaries(NAMES, LINE | st.booleans() | st.integers(-(2**31), 2**31 - 1), max_size=4),
)


def structured(*without: str, **other: Any) -> bytes:
    """A structured event of a foreign publisher."""
    return json.dumps({name: value for name, value in (MINIMAL | other).items() if name not in without}).encode()


def read(body: bytes, content_type: str = CONTENT_TYPE, **headers: object) -> Envelope:
    """Decode it."""
    return decode(body, content_type, headers, NOW)


@given(ENVELOPES)
@example(ORDER)
def test_what_is_encoded_is_decoded(envelope: Envelope) -> None:
    """Decoding an encoded envelope gives it back, and encoding it again gives the same bytes."""
    body = encode(envelope)
    back = read(body)
    assert back == envelope
    assert encode(back) == body


ASCII = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)
#: Nearly all of these take the quick road.
OURS = st.builds(
    Envelope,
    id=ASCII,
    source=st.just("/orders") | ASCII,
    type=st.sampled_from(["order.placed", UNDO_TYPE]),
    version=st.integers(1, 3),
    subject=ASCII | LINE,
    time=st.datetimes(timezones=st.just(UTC)),
    correlation_id=st.uuids().map(str),
    idempotency_key=st.uuids().map(str),
    data=st.dictionaries(st.text(max_size=5), VALUES, max_size=5),
    causation_id=st.just("") | st.uuids().map(str),
    traceparent=st.just("") | st.just(PARENT),
    tracestate=st.just("") | ASCII,
)


def bytes_by(road: Callable[..., bytes | None], envelope: Envelope, *, heard: bool) -> bytes | str | None:
    """What this road writes, or the sentence by which it refuses."""
    try:
        return road(envelope, heard=heard)
    except Unsayable as refused:
        return str(refused)


@given(OURS | ENVELOPES, st.booleans())
@example(ORDER._replace(revision=0), False)
@example(ORDER._replace(revision=0, tracestate=""), True)
def test_both_roads_write_the_same_bytes(envelope: Envelope, heard: bool) -> None:
    """The quick road is taken for events of ours without escapes, and writes what the other one writes."""
    quick = bytes_by(cloudevent.encode_ours, envelope, heard=heard)
    assert quick in (None, bytes_by(cloudevent.encode_any, envelope, heard=heard))


def test_the_quick_road_is_taken() -> None:
    """By an event of ours; not by one whose texts need an escape, nor by a letter that was edited."""
    plain = ORDER._replace(revision=0)
    assert cloudevent.encode_ours(plain, heard=False) is not None
    escaped = [plain._replace(subject='order/"1'), plain._replace(id="a\\b"), plain._replace(source="/é")]
    for other in (ORDER, *escaped):
        assert cloudevent.encode_ours(other, heard=False) is None


@pytest.mark.parametrize("type_", ["order.placed", UNDO_TYPE])
def test_both_roads_bound_the_depth(type_: str) -> None:
    """The deepest data that one of them writes is the deepest that the other writes."""
    for depth in range(MAX_DEPTH - 1, MAX_DEPTH + 6):
        deep: Json = "bottom"
        for _ in range(depth):
            deep = {"a": deep}
        assert isinstance(deep, dict)
        event = ORDER._replace(revision=0, type=type_, data=deep)
        quick, other = (bytes_by(road, event, heard=False) for road in (cloudevent.encode_ours, cloudevent.encode_any))
        assert quick == other


def test_our_bytes() -> None:
    """docs/wire.md#envelope: structured JSON, canonical; absent attributes are absent, times have microseconds."""
    plain = Envelope("1", "/a", "a.b", 1, "a/1", NOW, "c", "k", {"z": 1, "a": 1.0})
    assert encode(plain) == (
        b'{"correlationid":"c","data":{"a":1,"z":1},"datacontenttype":"application/json","dataschema":"urn:hocket:a.b:1",'
        b'"id":"1","idempotencykey":"k","source":"/a","specversion":"1.0","subject":"a/1",'
        b'"time":"2026-11-24T10:00:00.000000Z","type":"a.b"}'
    )


def test_a_foreign_event_needs_only_what_cloudevents_needs() -> None:
    """RULES 2.1: version 1, subject TYPE/ID, derived correlation id, the id as key, and the time of arrival."""
    assert read(structured()) == Envelope(
        "1", "/shop", "order.placed", 1, "order.placed/1", NOW, correlation_of("/shop", "1"), "1", {}
    )
    assert read(structured(subject=None, time=None, data=None, comexample=None)) == read(structured())


def test_foreign_attributes_are_kept() -> None:
    """Extensions and a foreign schema are encoded again."""
    foreign = structured(
        dataschema="https://example.com/order", partition=7, urgent=True, region="eu", datacontenttype="text/json",
        time="2026-11-24T11:00:00.5+01:00",
    )  # fmt: skip
    envelope = read(foreign)
    assert envelope.version == 1
    assert envelope.time == NOW + timedelta(seconds=0.5)
    assert envelope.extensions == {
        "dataschema": "https://example.com/order", "partition": 7, "urgent": True, "region": "eu",
    }  # fmt: skip
    assert read(encode(envelope)) == envelope


@pytest.mark.parametrize("prefix", ["cloudEvents_", "cloudEvents:", "ce-"])
def test_binary_mode(prefix: str) -> None:
    """Attributes from headers, data from the body; numbers may be text, text may be bytes, times timestamps."""
    given = {
        "specversion": "1.0", "id": b"1", "source": "/shop", "type": "order.placed", "revision": "2",
        "dataschema": "urn:hocket:order.placed:3", "time": NOW, "correlationid": "flow", "region": "eu",
    }  # fmt: skip
    headers = {prefix + name: value for name, value in given.items()} | {"x-death": [], "other": 7}
    envelope = decode(b'{"a": [1]}', "application/json", headers, NOW + timedelta(days=1))
    assert envelope == Envelope(
        "1", "/shop", "order.placed", 3, "order.placed/1", NOW, "flow", "1", {"a": [1]}, revision=2,
        extensions={"region": "eu"},
    )  # fmt: skip
    assert decode(b"", "", headers, NOW).data == {}
    naive = headers | {prefix + "time": NOW.replace(tzinfo=None)}
    assert decode(b"{}", "", naive, NOW).time == NOW


@pytest.mark.parametrize("schema", ["urn:hocket:order.placed:3", "order.placed/3"])
def test_both_forms_of_the_schema_are_read(schema: str) -> None:
    """ADR 25: `urn:hocket:TYPE:N` is written; what earlier releases wrote means the same."""
    envelope = read(structured(dataschema=schema))
    assert (envelope.version, dict(envelope.extensions)) == (3, {})
    assert json.loads(encode(envelope))["dataschema"] == "urn:hocket:order.placed:3"


@pytest.mark.parametrize("schema", ["urn:hocket:order.paid:3", "order.paid/3", "urn:hocket", "https://a.example/3"])
def test_another_schema_is_kept_and_means_version_1(schema: str) -> None:
    """Only a schema that names the event's own type says its version."""
    envelope = read(structured(dataschema=schema))
    assert (envelope.version, dict(envelope.extensions)) == (1, {"dataschema": schema})


def test_packed_data_is_read() -> None:
    """`data_base64` is read if it is a JSON object."""
    assert read(structured(data_base64="eyJhIjogMX0=")).data == {"a": 1}


def test_the_kits_own_undo_is_the_only_hocket_type() -> None:
    """An undo contains a failure envelope of any allowed depth; other types `hocket.*` are refused."""
    deep: dict[str, Json] = {}
    for _ in range(MAX_DEPTH - 1):
        deep = {"a": deep}
    failure = json.loads(encode(Envelope("1", "/a", "a.b", 1, "a/1", NOW, "c", "k", deep)))
    undo = Envelope("2", "/a", UNDO_TYPE, 1, "a/1", NOW, "c", "k", {"run": "r", "n": 1, "why": failure})
    assert read(encode(undo)) == undo
    foreign = Envelope("2", "/a", "a.b", 1, "a/1", NOW, "c", "k", {"why": failure})
    with pytest.raises(Unsayable, match="deep"):
        encode(foreign)


def test_a_time_is_read_in_any_offset_and_written_in_utc() -> None:
    """RFC 3339, whatever its offset; the year 1 is written with four digits."""
    west = ORDER.time.astimezone(timezone(timedelta(hours=-5)))
    assert read(structured(time=west.isoformat())).time == ORDER.time
    early = Envelope("1", "/a", "a.b", 1, "a/1", datetime(1, 1, 1, tzinfo=UTC), "c", "k", {})
    assert read(encode(early)) == early


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1985-04-12T23:20:50.52Z", datetime(1985, 4, 12, 23, 20, 50, 520000, UTC)),
        ("1996-12-19T16:39:57-08:00", datetime(1996, 12, 20, 0, 39, 57, tzinfo=UTC)),
        ("1990-12-31T23:59:60Z", datetime(1991, 1, 1, tzinfo=UTC)),
        ("1990-12-31T15:59:60-08:00", datetime(1991, 1, 1, tzinfo=UTC)),
        ("1937-01-01T12:00:27.87+00:20", datetime(1937, 1, 1, 11, 40, 27, 870000, UTC)),
        ("1985-04-12t23:20:50z", datetime(1985, 4, 12, 23, 20, 50, tzinfo=UTC)),
        ("1985-04-12 23:20:50-00:00", datetime(1985, 4, 12, 23, 20, 50, tzinfo=UTC)),
    ],
)
def test_times_as_the_rfc_lists_them(text: str, moment: datetime) -> None:
    """RFC 3339, 5.6 and 5.8: its examples, leap seconds and letters of either case among them."""
    assert read(structured(time=text)).time == moment


@given(ENVELOPES)
@example(ORDER._replace(data={"datacontenttype": '","datacontenttype":"', '"data":': {"data": ',"datacontenttype":'}}))
def test_the_hash_of_our_own_bytes_is_that_of_their_data(envelope: Envelope) -> None:
    """RULES 2.5: the hash of the bytes is that of the data, and the envelope is that of `decode`."""
    body = encode(envelope)
    found, data, long, whole = read_whole(body, CONTENT_TYPE, {}, NOW)
    assert (
        data == canonical(dict(envelope.data)) == read_whole(body.replace(b"{", b"{ ", 1), CONTENT_TYPE, {}, NOW).data
    )
    assert hash_of(data) == data_hash(dict(envelope.data))
    assert not long
    assert whole in {b"", body}
    assert found == decode(body.replace(b"{", b"{ ", 1), CONTENT_TYPE, {}, NOW)


@pytest.mark.parametrize(
    "spoilt",
    [
        b'{"correlationid":"c","correlationid":"c","data":{},"datacontenttype":"application/json","id":"1"}',
        b'{"correlationid":"c","data":{"a":1,"a":1},"datacontenttype":"application/json","id":"1"}',
        b'{"correlationid":"c","data":{"a":NaN},"datacontenttype":"application/json","id":"1"}',
        b'{"correlationid":"c","data":{"a":"\\ud800"},"datacontenttype":"application/json","id":"1"}',
    ],
)
def test_what_only_looks_like_ours_is_read_strictly(spoilt: bytes) -> None:
    """Only canonical bytes take the fast path; what the strict reader refuses is refused."""
    with pytest.raises(Undecodable, match="body"):
        read_whole(spoilt, CONTENT_TYPE, {}, NOW)


#: What a body of ours may hold in the wrong place.
PIECES = st.sampled_from([
    b'"', b"\\", b",", b"}", b"{", b"0", b"1.0", b"\x7f", b"\n", b"\xc3\xa9", b'"id":"2",', b'"a":1,', b'"revision":0,',
    b'},"datacontenttype":"application/json","dataschema":"x",', b'"data":{},', b"hocket.",
    b"12345678901234567890", b" ",
])  # fmt: skip


@given(envelope=ENVELOPES, piece=PIECES, data=st.data())
def test_the_quick_reader_reads_what_the_other_one_reads(envelope: Envelope, piece: bytes, data: st.DataObject) -> None:
    """A body of ours, whole or damaged, gives the same event or the same error by both of them."""
    text = "abc/1"
    short = envelope._replace(
        id=text, source=text, type=text, subject=text, correlation_id=text, idempotency_key=text, causation_id="",
        traceparent=PARENT, tracestate="", extensions={},
    )  # fmt: skip
    if data.draw(st.booleans()):
        short = short._replace(data=ORDER.data)  # the drawn one is seldom ASCII
    body = encode(short, heard=True)
    at = data.draw(st.integers(0, len(body)))
    until = data.draw(st.integers(at, min(len(body), at + 8)))
    for each in (body, body[:at] + piece + body[at:], body[:at] + piece + body[until:], body[:at] + body[until:]):
        both: list[object] = []
        for quick in (True, False):
            with pytest.MonkeyPatch.context() as patch:
                if not quick:
                    patch.setattr(cloudevent, "read_ours", lambda _: None)
                try:
                    found = read_whole(each, CONTENT_TYPE, {}, NOW)
                    assert found.body == (each if found.body else b"")
                    both.append(found._replace(body=b""))
                except Undecodable as refused:
                    both.append(str(refused))
        assert both[0] == both[1]


def test_the_quick_reader_reads_bodies_of_ours() -> None:
    """It is on the way of each delivery: it takes what `encode` writes, unless that is not ASCII or has extensions."""
    quick = cloudevent.read_ours
    for each in (
        ORDER._replace(revision=0),
        ORDER._replace(revision=0, causation_id="", traceparent="", tracestate=""),
    ):
        assert quick(encode(each)) == read_whole(encode(each), CONTENT_TYPE, {}, NOW)
        assert quick(encode(each)) is not None
    for each in (ORDER, ORDER._replace(subject="bestellung/ä"), ORDER._replace(extensions={"x": "1"})):
        assert quick(encode(each)) is None
