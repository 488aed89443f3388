"""The spellings in which a value can stand in a text: as it is, escaped, quoted, encoded, in any case. Pure."""

import base64
import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, quote_plus

#: Shortest spelling that is looked for anywhere in a text. A shorter value is looked for as a word of its own.
MIN_CHARS = 4
#: A longer spelling is found by this many characters, from its beginning, and hidden as far as it goes on.
FRAGMENT = 24
#: Characters of one value that are compared.
MAX_CHARS = 16 * 1024
#: Fewest bytes of a value that are looked for in base64, where an encoding of less says little.
MIN_BASE64 = 6
#: Digits from which on a number is found with any marks between them: cards, telephones, accounts.
MIN_DIGITS = 8

_NUMBER = re.compile(r"[\d\s().+/-]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Spelling:
    """One spelling; `low` is its beginning in lower case, for a quick look."""

    text: str
    low: str

    def hide(self, text: str, instead: str) -> str:
        """The text with `instead` wherever this spelling stands or begins."""
        beginning = re.compile(re.escape(self.text[:FRAGMENT]), re.IGNORECASE)
        parts: list[str] = []
        at = 0
        while found := beginning.search(text, at):
            parts += text[at : found.start()], instead
            at = found.end() + self._further(text, found.end())
        parts.append(text[at:])
        return "".join(parts)

    def _further(self, text: str, at: int) -> int:
        """How many characters behind the beginning go on as this spelling does."""
        rest = self.text[FRAGMENT:].lower()
        there = text[at : at + len(rest)].lower()
        if there == rest:
            return len(self.text) - FRAGMENT if rest else 0
        return next((n for n, (one, other) in enumerate(zip(rest, there, strict=False)) if one != other), len(there))


def spellings_of(value: str) -> list[Spelling]:
    """Every spelling of a value that has at least `MIN_CHARS`, each once, the longest first."""
    found = dict.fromkeys(each for each in _spelled(value[:MAX_CHARS]) if len(each) >= MIN_CHARS)
    known = {each.lower(): each for each in found}
    return [Spelling(text, low[:FRAGMENT]) for low, text in sorted(known.items(), key=lambda one: -len(one[0]))]


def digits_of(value: str) -> str:
    """The digits of a number that is written with or without marks; empty for what is no long number."""
    if not _NUMBER.fullmatch(value):
        return ""
    digits = "".join(filter(str.isdecimal, value))
    return digits if MIN_DIGITS <= len(digits) <= 64 else ""


def _spelled(value: str) -> Iterator[str]:
    yield value
    yield value.strip()
    if len(value) < MIN_CHARS:
        return
    raw = value.encode(errors="surrogatepass")
    yield value.upper()  # another text where a letter has no capital of its own
    yield json.dumps(value)[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield repr(value)[1:-1]
    yield ascii(value)[1:-1]
    yield repr(raw)[2:-1]
    for safe in ("", "/", "@", "@:/?+,;=!$&'()*"):
        yield quote(raw, safe=safe)
    yield quote_plus(raw)
    yield html.escape(value)
    yield raw.hex()
    if len(raw) >= MIN_BASE64:
        for shift in range(3):  # a value inside a longer one stands at any of three places of a group
            yield from _in_base64(raw, shift)


def _in_base64(raw: bytes, shift: int) -> Iterator[str]:
    """The characters of base64 that the value alone decides, where `shift` bytes stand before it in its group."""
    skip = (0, 2, 3)[shift]
    keep = (shift + len(raw)) * 8 // 6 - skip
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(b"\0" * shift + raw).decode()[skip : skip + keep]
