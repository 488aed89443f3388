"""JSON is read strictly and written canonically."""

import json
import math
import struct

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from hocket.envelope.canonical_json import (
    MAX_DEPTH,
    MAX_SAFE,
    MAX_WRITTEN_DEPTH,
    Json,
    canonical,
    data_hash,
    has_long,
    read_json,
)
from hocket.errors import Undecodable, Unsayable

NUMBERS = st.integers(-MAX_SAFE, MAX_SAFE) | st.floats(allow_nan=False, allow_infinity=False)
VALUES: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
@example({"a": 1.0, "b": 1e16, "c": 1e-7, "d": 0.1, "e": -0.0, "f": 123456.789, "g": 1e21, "h": 5e-324})
@example({"\ue000": 1, "\U0001f600": 2, "z": 3})
@example({"a": '\x00\x1f"\\/\x7f\u2028', "b": [], "c": {}, "d": [[], {}]})
def test_the_fast_encoder_gives_the_same_bytes(value: Json) -> None:
    """RFC 8785: with either encoder, the bytes are those of the reference."""
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"), ("8000000000000000", "0"), ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"), ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"), ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"), ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"), ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"), ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"), ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"), ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"), ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"), ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"), ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)  # fmt: skip
def test_numbers_as_the_rfc_lists_them(bits: str, text: str) -> None:
    """RFC 8785, appendix B: each double by its bits, and how it is written."""
    (number,) = struct.unpack(">d", bytes.fromhex(bits))
    assert canonical({"a": number}) == f'{{"a":{text}}}'.encode()


def test_the_examples_of_the_rfc() -> None:
    """RFC 8785, 3.2.2 and 3.2.3: literals, numbers and escapes; keys in the order of their UTF-16 units."""
    value = json.loads(
        r'{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],'
        r'"string":"\u20ac$\u000F\u000aA\u0027\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}'
    )
    assert canonical(value).decode() == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    ordered = list(json.loads(canonical(dict.fromkeys(keys))))
    assert ordered == ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]


@given(VALUES)
def test_canonical_is_idempotent(value: Json) -> None:
    """Reading what was written gives the same value, and writing that gives the same bytes."""
    written = canonical(value)
    read = read_json(written)
    assert read == value
    assert canonical(read) == written
    assert data_hash(read) == data_hash(value)


def test_two_encodings_of_the_same_data_have_the_same_hash() -> None:
    """RULES 2.5: order of keys, white space and notation of numbers do not change the hash."""
    one = read_json(b'{"b": 1.0, "a": "\\u00e9"}')
    other = read_json('{"a":"é","b":1}'.encode())
    assert data_hash(one) == data_hash(other)
    assert len(data_hash(one)) == 16
    assert data_hash({"a": "e", "b": 1}) != data_hash(one)


@pytest.mark.parametrize("number", [MAX_SAFE, -MAX_SAFE, 2**53, -(2**53), 10**20])
def test_large_numbers_that_keep_their_value_are_read(number: int) -> None:
    """An integer is read if a double represents it and is written with the same text."""
    assert read_json(str(number).encode()) == number
    assert canonical(read_json(str(number).encode())) == str(number).encode()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"nil",
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'"\xed\xa0\x80"',
        b'"\\ud800"',
        b'{"\\udfff": 1}',
        b"NaN",
        b"[Infinity]",
        b"-Infinity",
        b"1e9999999999999999999999",
        b"1." + b"3" * 500,
        b"1" * 10_000,
        b'{"a": 1, "a": 2}',
        b'[{"a": {"b": 1, "b": 1}}]',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"{} {}",
        b'"\x00"',
        b"'a'",
        b"01",
    ],
)
def test_what_readers_would_understand_differently_is_refused(raw: bytes) -> None:
    """Invalid or hostile JSON raises `Undecodable` with place and cause, never another error."""
    with pytest.raises(Undecodable) as refused:
        read_json(raw, "data")
    assert refused.value.field == "data"
    assert refused.value.cause


@pytest.mark.parametrize(
    ("raw", "written"),
    [
        (b"9007199254740993", b"9007199254740993"),
        (b"-123456789012345678901234567890", b"-123456789012345678901234567890"),
        (b"12345678901234567890.0", b"12345678901234567890"),
        (b"0.12345678901234567890", b"1234567890123456789e-19"),
        (b"1.234567890123456789E-1", b"1234567890123456789e-19"),
        (b"1e999", b"1e999"),
        (b"-1e-400", b"-1e-400"),
    ],
)
def test_a_number_beyond_a_double_keeps_its_digits(raw: bytes, written: bytes) -> None:
    """Whoever reads its field decides; two notations have one text; what is made here may not hold such a number."""
    value = read_json(raw)
    assert has_long(value)
    assert canonical(value, heard=True) == written
    assert canonical(read_json(written), heard=True) == written
    assert not has_long(read_json(b"[0.1, 1e21, 5.0, 9007199254740991]"))
    if isinstance(value, int):
        with pytest.raises(Unsayable, match=r"has a whole number beyond 9007199254740991, .*: say it as text"):
            canonical({"a": value})


def test_depth_is_bounded_exactly() -> None:
    """Nesting up to the bound is read and written; one level more is refused."""
    depth = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    assert canonical(read_json(depth)) == depth
    many = b"[" + b",".join([b"[]"] * 200) + b"]"
    assert canonical(read_json(many)) == many
    deep: Json = []
    for _ in range(MAX_WRITTEN_DEPTH):
        deep = [deep]
    with pytest.raises(Unsayable, match="deep"):
        canonical(deep)


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, 2**53, -(2**60), {1: 2}, {"a": object()}, {"a": {1, 2}}, "\ud800", {"\udc00": 1}, b"bytes"],
)
def test_what_is_not_json_cannot_be_said(value: Json) -> None:
    """Data that is not JSON raises `Unsayable` with a cause."""
    with pytest.raises(Unsayable, match="data"):
        canonical({"inside": value})


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """Any bytes give `Undecodable` or a value, which is that of Python's own reader."""
    try:
        value = read_json(raw)
    except Undecodable:
        return
    assert value == json.loads(raw)
