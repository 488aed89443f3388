"""Reads `Idempotency-Key`: a structured string, or a bare token as most clients send it (RULES 13.1). Pure.

draft-ietf-httpapi-idempotency-key-header-07 asks for an Item of RFC 9651 that is a String; its parameters mean nothing.
"""

import re
from collections.abc import Sequence

from hocket.errors import HocketError

#: Bytes of a key.
MAX_KEY_BYTES = 255

_VALUE = r'(?:"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"|[A-Za-z0-9!#$%&\'*+./:^_`|~?=@-]+)'
_STRING = re.compile(rf'"(?P<text>(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"(?: *;[a-z*][a-z0-9_.*-]*(?:={_VALUE})?)*')
_TOKEN = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x7e]+")  # what is visible, but for quotes, commas, semicolons


class MalformedKey(HocketError):
    """The header is there, and is not one key."""


def key_of(lines: Sequence[str]) -> str | None:
    """The key of these lines of the header, None where there is none. `MalformedKey` says what is wrong."""
    if not lines:
        return None
    if len(lines) > 1:
        raise MalformedKey("the header Idempotency-Key came more than once")
    line = lines[0].strip(" ")
    if found := _STRING.fullmatch(line):
        value = re.sub(r"\\(.)", r"\1", found["text"])
    elif _TOKEN.fullmatch(line):
        value = line
    else:
        raise MalformedKey(
            'the header Idempotency-Key is a text in quotes, "8e03978e-40d5-43e8-bc93-6894a57f9324", '
            "or the same without them, of visible ASCII characters"
        )
    if not 1 <= len(value) <= MAX_KEY_BYTES:
        raise MalformedKey(f"the header Idempotency-Key has 1 to {MAX_KEY_BYTES} characters, and this one {len(value)}")
    return value
