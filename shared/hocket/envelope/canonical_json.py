"""JSON read strictly and written canonically (RFC 8785): what has been read can be written, and the bytes are the same
wherever it is written.
"""

import json
from hashlib import blake2b
from math import isfinite
from typing import Any, NoReturn, cast

import orjson
import rfc8785

from hocket.errors import Undecodable, Unsayable

Json = None | bool | int | float | str | list["Json"] | dict[str, "Json"]

#: Objects and arrays inside each other, in the data of an event.
MAX_DEPTH = 64
#: The same for what is built around data: an undo carries the whole envelope of a failure.
MAX_WRITTEN_DEPTH = MAX_DEPTH + 4
#: Whole numbers that every reader of JSON gives back exactly (I-JSON, RFC 7493).
MAX_SAFE = 2**53 - 1
#: Signs of a whole number that can still be a double (the highest below 1e21 has 21 digits and a sign).
_MAX_DIGITS = 22


def canonical(value: Json, depth: int = MAX_WRITTEN_DEPTH) -> bytes:
    """The canonical bytes of a JSON value (RFC 8785); `Unsayable` where it is none, or nested beyond `depth`."""
    try:
        if _plain(value, depth):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(cast("Any", value))
    except (UnicodeEncodeError, orjson.JSONEncodeError):  # of the second, what is plain leaves no other reason
        raise Unsayable("data holds half of a surrogate pair, which UTF-8 cannot carry") from None
    except rfc8785.CanonicalizationError as wrong:
        raise Unsayable(f"data cannot be written as JSON: {wrong}") from None


def data_hash(data: Json) -> bytes:
    """16 bytes that stand for the canonical data: two renderings of the same data have the same (RULES 2.5)."""
    return hash_of(canonical(data))


def read_json(raw: bytes, place: str = "body", depth: int = MAX_DEPTH) -> Json:
    """JSON that every reader understands alike; `Undecodable(place, …)` otherwise.

    Refused are broken UTF-8, NaN and Infinity, numbers that a double does not hold exactly, a key that stands twice,
    halves of surrogate pairs, and nesting beyond `depth`.
    """
    try:
        text = raw.decode()
        value: Json = _decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise Undecodable(place, "is not UTF-8") from None
    except UnicodeEncodeError:
        raise Undecodable(place, "holds half of a surrogate pair") from None
    except RecursionError:
        raise Undecodable(place, f"is nested deeper than {depth}") from None
    except json.JSONDecodeError as wrong:
        raise Undecodable(place, f"is no JSON: {wrong.msg} at {wrong.pos}") from None
    except ValueError as wrong:
        raise Undecodable(place, str(wrong)) from None
    if text.count("{") + text.count("[") > depth and not within(value, depth):
        raise Undecodable(place, f"is nested deeper than {depth}")
    return value


def read_canonical(raw: bytes, depth: int = MAX_DEPTH) -> Json:
    """The value of bytes that are canonical and plain; None where they are not, or hold null: then `read_json` tells.

    What the fast reader takes and the fast writer gives back byte for byte has no key twice, no other rendering of a
    number, and nothing else that `read_json` refuses.
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
        raise ValueError("has a key twice in one object")
    return found


def _whole(text: str) -> int | float:
    """A whole number; beyond `MAX_SAFE` only where it is the very text of a double."""
    if len(text) <= 15:
        return int(text)
    if len(text) <= _MAX_DIGITS:
        if -MAX_SAFE <= (number := int(text)) <= MAX_SAFE:
            return number
        if rfc8785.dumps(float(number)) == text.encode():
            return float(number)
    raise ValueError("has a number that does not keep its value in every reader")


def _fraction(text: str) -> float:
    if not isfinite(number := float(text)):
        raise ValueError("has a number that is too large")
    return number


def _constant(name: str) -> NoReturn:
    raise ValueError(f"holds {name}, which is no JSON number")


_decode = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_whole, parse_float=_fraction, parse_constant=_constant
).decode


def _plain(value: Json, depth: int) -> bool:
    """Whether the fast encoder writes the canonical bytes: numbers in the same notation, keys in the same order."""
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is int:
        return -MAX_SAFE <= cast("int", value) <= MAX_SAFE
    if kind is float:
        number = cast("float", value)
        return 1e-4 <= abs(number) < 1e16 and not number.is_integer()
    if depth == 0:
        raise Unsayable("data is nested too deeply")
    plain = True
    if kind is dict:
        for key, each in cast("dict[Any, Json]", value).items():
            if type(key) is not str:
                raise Unsayable("data has a key that is no text")
            if not key.isascii() or not _plain(each, depth - 1):
                plain = False
    elif kind in {list, tuple}:
        for each in cast("list[Json]", value):
            if not _plain(each, depth - 1):
                plain = False
    else:
        return False
    return plain


def within(value: Json, depth: int) -> bool:
    """Whether nothing lies deeper than `depth` objects and arrays."""
    if not isinstance(value, dict | list):
        return True
    if depth == 0:
        return False
    return all(within(each, depth - 1) for each in (value.values() if isinstance(value, dict) else value))
