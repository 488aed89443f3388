"""Fields whose values sort: what `latest_by=` may name, and their values in bytes that sort as they do. Pure."""

import math
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, get_args, get_origin

from pydantic import AwareDatetime

#: The types, as an error names them.
TYPES_TEXT = "int, float, Decimal, str, date, AwareDatetime, or a NewType or Annotated of one of them"
#: Bytes of a text, and digits of a Decimal, that are compared; what is equal so far is taken for equal.
TEXT_BYTES = 1024
#: A date begins at the earliest so many seconds before it begins in UTC.
EAST_SECONDS = 14 * 3600
#: The kinds of values by their type; values of one kind are compared.
_KINDS: dict[Any, str] = {
    int: "int", float: "float", Decimal: "decimal", str: "text", date: "date", AwareDatetime: "moment"
}  # fmt: skip
#: Lengths of whole numbers are counted from here, so that those below zero sort first.
_MIDDLE = 0x8000
#: Exponents are counted from here: those of a Decimal have 61 bits.
_EXPONENT = 2**62
_ALL = 0xFF
_FIRST = datetime(1, 1, 1, tzinfo=UTC)
_EPOCH_DAY, _DAY_SECONDS = date(1970, 1, 1).toordinal(), 86_400


def kind_of(annotation: Any) -> str:
    """The kind of values of this annotation, "" where they do not sort in one way."""
    if hasattr(annotation, "__supertype__"):
        return kind_of(annotation.__supertype__)
    if (meant := getattr(annotation, "__value__", None)) is not None and not isinstance(annotation, type):
        return kind_of(meant)
    if get_origin(annotation) is Annotated:
        return "moment" if annotation == AwareDatetime else kind_of(get_args(annotation)[0])
    try:
        return _KINDS.get(annotation, "")
    except TypeError:  # not hashable
        return ""


def sort_key(value: object) -> bytes | None:
    """Bytes that sort as the values of one kind do; None for what is no number (NaN, infinity).

    Texts sort as their UTF-8, by their first `TEXT_BYTES`; moments by the instant, whatever their zone.
    """
    match value:
        case str():
            return value.encode("utf-8", "surrogatepass")[:TEXT_BYTES]
        case int():
            return _of_int(value)
        case float():
            return _of_float(value) if math.isfinite(value) else None
        case Decimal():
            return _of_decimal(value) if value.is_finite() else None
        case datetime():
            return _of_int((value - _FIRST) // timedelta(microseconds=1))  # what `astimezone` cannot do at both ends
        case date():
            return _of_int(value.toordinal())
        case _:
            raise TypeError(f"{type(value).__name__} does not sort: use {TYPES_TEXT}")


def begins(value: object) -> float:
    """The moment that a value names, in seconds since 1970; 0: it names none. Of a date: when it begins anywhere."""
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, date):
        return float((value.toordinal() - _EPOCH_DAY) * _DAY_SECONDS - EAST_SECONDS)
    return 0.0


def _of_int(value: int) -> bytes:
    """Sign and length first: a longer number is greater, below zero it is less."""
    size = max((abs(value).bit_length() + 7) // 8, 1)
    if value >= 0:
        return (_MIDDLE + size).to_bytes(2, "big") + value.to_bytes(size, "big")
    return (_MIDDLE - size).to_bytes(2, "big") + _inverted((-value).to_bytes(size, "big"))


def _of_float(value: float) -> bytes:
    raw = struct.pack(">d", value + 0.0)  # -0.0 becomes 0.0
    return _inverted(raw) if raw[0] & 0x80 else bytes([raw[0] | 0x80]) + raw[1:]


def _of_decimal(value: Decimal) -> bytes:
    if value == 0:
        return b"\x01"
    digits = "".join(map(str, value.as_tuple().digits)).strip("0")[:TEXT_BYTES]
    whole = (_EXPONENT + value.adjusted()).to_bytes(8, "big") + digits.encode()
    return b"\x02" + whole if value > 0 else b"\x00" + _inverted(whole) + bytes([_ALL])


def _inverted(raw: bytes) -> bytes:
    return bytes(_ALL - each for each in raw)
