"""Reads JSON strictly and writes it canonically (RFC 8785).

Everything that can be read can be written, and every writer produces the same bytes.
"""

import json
from hashlib import blake2b
from typing import Any, NoReturn, cast

import orjson
import rfc8785

from hocket.envelope.long_number import LongNumber, number_of, whole_of
from hocket.errors import Undecodable, Unsayable

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

#: Nesting depth of objects and arrays in the data of an event.
MAX_DEPTH = 64
#: Nesting depth of what contains data: an undo envelope contains the envelope of a failure.
MAX_WRITTEN_DEPTH = MAX_DEPTH + 4
#: Largest integer that every JSON reader represents exactly (I-JSON, RFC 7493).
MAX_SAFE = 2**53 - 1


def canonical(value: Json, depth: int = MAX_WRITTEN_DEPTH, *, heard: bool = False) -> bytes:
    """The canonical bytes of a JSON value (RFC 8785). Raises `Unsayable` if it is not one, or deeper than `depth`.

    Numbers that a double does not hold are refused, since not every reader would read them exactly; `heard`: the value
    was read, not made, and such numbers are written with all their digits.
    """
    try:
        if _plain(value, depth):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return _long(value) if heard else rfc8785.dumps(cast("Any", value))
    except (UnicodeEncodeError, orjson.JSONEncodeError):  # a plain value fails in orjson for this reason only
        raise Unsayable("data has half of a surrogate pair, which UTF-8 cannot represent") from None
    except rfc8785.IntegerDomainError:
        raise Unsayable(
            f"data has a whole number beyond {MAX_SAFE}, which not every reader keeps: say it as text"
        ) from None
    except rfc8785.FloatDomainError:
        raise Unsayable(
            "data has an infinity or NaN, which JSON does not have: say it as text, or leave it out"
        ) from None
    except rfc8785.CanonicalizationError:
        raise Unsayable("data cannot be written as JSON: it holds a value of another type") from None


def data_hash(data: Json) -> bytes:
    """A hash of 16 bytes over the canonical data: two encodings of the same data have the same hash (RULES 2.5)."""
    return hash_of(canonical(data, heard=True))


def read_json(raw: bytes, place: str = "body", depth: int = MAX_DEPTH) -> Json:
    """Read JSON that every reader understands alike. Raises `Undecodable(place, …)`.

    Refused are invalid UTF-8, NaN and Infinity, duplicate keys, halves of surrogate pairs, and nesting deeper than
    `depth`. A number that a double does not hold is kept with all its digits: whoever reads its field decides.
    """
    try:
        text = raw.decode()
        value: Json = _decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise Undecodable(place, "is not UTF-8") from None
    except UnicodeEncodeError:
        raise Undecodable(place, "has half of a surrogate pair") from None
    except RecursionError:
        raise Undecodable(place, f"is nested deeper than {depth}") from None
    except json.JSONDecodeError as wrong:
        raise Undecodable(place, f"is not JSON: {wrong.msg} at {wrong.pos}") from None
    except ValueError as wrong:
        raise Undecodable(place, str(wrong)) from None
    if text.count("{") + text.count("[") > depth and not within(value, depth):
        raise Undecodable(place, f"is nested deeper than {depth}")
    return value


def read_canonical(raw: bytes, depth: int = MAX_DEPTH) -> Json:
    """The value of canonical, plain bytes; None for other bytes and for null, which `read_json` must then read.

    If the fast reader's value, written by the fast writer, has the same bytes, then it has no duplicate keys, no other
    notation of a number, and nothing else that `read_json` refuses.
    """
    try:
        value: Json = orjson.loads(raw)
        return value if _plain(value, depth) and orjson.dumps(value, option=orjson.OPT_SORT_KEYS) == raw else None
    except (ValueError, Unsayable):
        return None


def hash_of(canonical_data: bytes) -> bytes:
    """`data_hash` of data whose canonical bytes are known."""
    return blake2b(canonical_data, digest_size=16).digest()


def _object(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("has a duplicate key in one object")
    return found


def _constant(name: str) -> NoReturn:
    raise ValueError(f"has {name}, which is not a JSON number")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=whole_of, parse_float=number_of, parse_constant=_constant
).decode


#: Types whose every value the fast encoder writes canonically.
_ALWAYS_PLAIN = frozenset({str, bool, type(None)})


def _plain(value: Any, depth: int) -> bool:
    """Whether the fast encoder writes the canonical bytes: same notation of numbers, same order of keys."""
    kind = type(value)
    if kind in _ALWAYS_PLAIN:
        return True
    if kind is int:
        return not (value > MAX_SAFE or value < -MAX_SAFE)
    if kind is float:
        return 1e-4 <= abs(value) < 1e16 and not value.is_integer()
    if depth == 0:
        raise Unsayable("data is nested too deeply")
    plain = True
    if kind is dict:
        for key, each in value.items():
            if type(key) is not str:
                raise Unsayable("data has a key that is not text")
            # Most values are texts: asked here, they cost no call.
            if not key.isascii() or not (type(each) in _ALWAYS_PLAIN or _plain(each, depth - 1)):
                plain = False
    elif kind in {list, tuple}:
        for each in value:
            if not (type(each) in _ALWAYS_PLAIN or _plain(each, depth - 1)):
                plain = False
    else:
        return False
    return plain


def _long(value: Json) -> bytes:
    """As `rfc8785.dumps`, for values with numbers that a double does not hold."""
    if type(value) is LongNumber:
        return value.text.encode()
    if type(value) is int and not -MAX_SAFE <= value <= MAX_SAFE:
        return str(value).encode()
    if isinstance(value, list | tuple):
        return b"[" + b",".join([_long(each) for each in value]) + b"]"
    if isinstance(value, dict):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return b"{" + b",".join([rfc8785.dumps(name) + b":" + _long(value[name]) for name in names]) + b"}"
    return rfc8785.dumps(value)


def has_long(value: Json) -> bool:
    """Whether it contains a number that a double does not hold."""
    if isinstance(value, dict):
        return any(has_long(each) for each in value.values())
    if isinstance(value, list):
        return any(has_long(each) for each in value)
    return type(value) is LongNumber or (type(value) is int and not -MAX_SAFE <= value <= MAX_SAFE)


def within(value: Json, depth: int) -> bool:
    """Whether objects and arrays are nested at most `depth` deep."""
    if not isinstance(value, dict | list):
        return True
    if depth == 0:
        return False
    return all(within(each, depth - 1) for each in (value.values() if isinstance(value, dict) else value))
