"""Tokens: what one transaction said, as an opaque text."""

import base64
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.envelope.attributes import text_fault
from hocket.envelope.token import FORM, MAX_FACTS, MAX_TOKEN_CHARS, Fact, decode_token, encode_token
from hocket.errors import BadToken, HocketError

KEY = "0192f0c1-7b1a-8c3e-9d2f-1a2b3c4d5e6f"
TEXT = st.text(min_size=1, max_size=12).filter(lambda text: not text_fault(text))
FACTS = st.lists(st.builds(Fact, TEXT, TEXT, TEXT), max_size=12)


def _written(value: object) -> str:
    raw = json.dumps(value, separators=(",", ":")).encode()
    return FORM + base64.urlsafe_b64encode(raw).decode().rstrip("=")


@given(FACTS)
def test_a_token_gives_back_what_was_said(facts: list[Fact]) -> None:
    """RULES 14.7: the same text for the same facts in any order; it needs no quoting in an URL or a header."""
    token = encode_token(facts)
    assert decode_token(token) == tuple(sorted(set(facts)))
    assert encode_token(reversed(facts)) == token
    assert re.fullmatch(r"[A-Za-z0-9._-]+", token)


def test_nothing_said_is_a_token_too() -> None:
    """RULES 14.7: whoever waits for it waits for nothing."""
    assert decode_token(encode_token([])) == ()


def test_a_token_is_bounded() -> None:
    """RULES 14.7: in facts, since each is looked up, and in characters, since it stands in a header."""
    most = [Fact("/orders", "orders.order_placed", f"{KEY[:-4]}{n:04}") for n in range(MAX_FACTS)]
    assert len(encode_token(most)) <= MAX_TOKEN_CHARS
    with pytest.raises(HocketError, match=f"at most {MAX_FACTS} events"):
        encode_token([*most, Fact("/orders", "orders.order_placed", "one more")])
    with pytest.raises(HocketError, match=f"at most {MAX_TOKEN_CHARS} characters"):
        encode_token([Fact("/orders", "orders.order_placed", f"{n:0200}") for n in range(MAX_FACTS)])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "h2.e30",
        FORM,
        FORM + "e30=",
        FORM + "e3 0",
        FORM + "ü",
        FORM + "e" * MAX_TOKEN_CHARS,
        FORM + base64.urlsafe_b64encode(b"[" * 4000).decode().rstrip("="),
        FORM + base64.urlsafe_b64encode(b"\xff\xfe").decode().rstrip("="),
        _written([]),
        _written({"/orders": ["a"]}),
        _written({"/orders": {"a": "b"}}),
        _written({"/orders": {"a": [1]}}),
        _written({"/orders": {"a": [""]}}),
        _written({"/orders": {"a": []}}),
        _written({"/orders": {"a": ["c", "b"]}}),
        _written({"/orders": {"a": ["\x00"]}}),
        _written({"/orders": {"a": [str(n) for n in range(MAX_FACTS + 1)]}}),
        _written({"/orders": {"a": ["k" * 300]}}),
        _written({"/orders": {"ä": ["k"]}}),
    ],
)
def test_a_text_that_is_no_token_is_refused(text: str) -> None:
    """RULES 14.7: it says so, with the way out, whatever the text is."""
    with pytest.raises(BadToken, match="bring back unchanged what tx"):
        decode_token(text)
