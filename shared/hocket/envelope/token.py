"""Tokens: what one transaction said, as an opaque text that a client brings back to read its own writes (RULES 14.7).

A token is no secret and proves nothing: whoever has it can wait for what it names, and nothing else. Pure.
"""

import base64
import binascii
import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hocket.envelope.attributes import MAX_ATTRIBUTE_BYTES, MAX_TYPE_BYTES, text_fault
from hocket.errors import BadToken, HocketError

#: What a token begins with: the version of its form.
FORM = "h1."
#: Facts that one token names: each is looked up by whoever waits for it.
MAX_FACTS = 64
#: Characters of a token, so that it fits in a header beside others.
MAX_TOKEN_CHARS = 6144

_BOUNDS = (MAX_ATTRIBUTE_BYTES, MAX_TYPE_BYTES, MAX_ATTRIBUTE_BYTES)


class Fact(NamedTuple):
    """One thing that was said, whatever ids its messages have: an older version of an event is the same fact."""

    source: str  # `/SERVICE`
    type: str
    key: str  # the idempotency key


def encode_token(facts: Iterable[Fact]) -> str:
    """The token of these facts: the same for the same facts in any order. Safe in URLs and in headers.

    `HocketError` where they are more than `MAX_FACTS`, or longer than `MAX_TOKEN_CHARS`.
    """
    named: dict[str, dict[str, list[str]]] = {}
    every = sorted(set(facts))
    if len(every) > MAX_FACTS:
        raise HocketError(f"a token names at most {MAX_FACTS} events, and {len(every)} were said: say less at once")
    for source, type_, key in every:
        named.setdefault(source, {}).setdefault(type_, []).append(key)
    raw = json.dumps(named, ensure_ascii=False, separators=(",", ":")).encode()
    token = FORM + base64.urlsafe_b64encode(raw).decode().rstrip("=")
    if len(token) > MAX_TOKEN_CHARS:
        raise HocketError(f"a token has at most {MAX_TOKEN_CHARS} characters, and this one {len(token)}: say less")
    return token


def decode_token(token: str) -> tuple[Fact, ...]:
    """The facts that a token names, in order. `BadToken` for any text that `encode_token` did not make."""
    if len(token) > MAX_TOKEN_CHARS:
        raise BadToken(f"is longer than {MAX_TOKEN_CHARS} characters")
    if not token.startswith(FORM):
        raise BadToken(f"does not begin with {FORM!r}")
    body = token.removeprefix(FORM)
    try:
        raw = base64.b64decode(body + "=" * (-len(body) % 4), altchars=b"-_", validate=True)
        found = json.loads(raw)
    except (binascii.Error, ValueError, RecursionError):
        raise BadToken("cannot be read") from None
    facts = _facts(found)
    if encode_token(facts) != token:
        raise BadToken("is written in another way than tokens are")
    return facts


def _facts(found: object) -> tuple[Fact, ...]:
    """What was read, as facts; `BadToken` where it has another form or is too much."""
    facts: list[Fact] = []
    for source, types in _members(found):
        for type_, keys in _members(types):
            if not isinstance(keys, list) or len(facts) + len(keys) > MAX_FACTS:
                raise BadToken(f"names no list of at most {MAX_FACTS} events")
            facts += [Fact(source, type_, _sound((source, type_, key))) for key in keys]
    return tuple(facts)


def _members(found: object) -> Iterable[tuple[str, object]]:
    if not isinstance(found, dict):
        raise BadToken("cannot be read")
    return found.items()


def _sound(parts: Sequence[object]) -> str:
    """The last of the parts, all of which are texts that an envelope could have."""
    for part, most in zip(parts, _BOUNDS, strict=True):
        if not isinstance(part, str) or not part or text_fault(part, most):
            raise BadToken("names what cannot be an event")
    return str(parts[-1])
