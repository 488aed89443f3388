"""Numbers of JSON that a double does not hold: read with all digits, and written again as they were read. Pure."""

from decimal import Decimal
from math import copysign, isfinite
from sys import float_info
from typing import Self

#: Characters of one number in JSON, and its digits without zeros at the ends.
MAX_NUMBER_CHARS = 1000
MAX_DIGITS = 400
#: Largest power of ten of a number that is kept as an integer.
MAX_EXPONENT = 300
#: Characters of a number that is surely held: 15 digits.
_SHORT = 15


class LongNumber(float):
    """A fraction with more digits than a double holds. As a float it is the nearest one; `text` is the number itself.

    Two notations of one number have the same text.
    """

    text: str

    def __new__(cls, exact: Decimal) -> Self:
        nearest = float(exact)
        made = super().__new__(cls, nearest if isfinite(nearest) else copysign(float_info.max, nearest))
        sign, digits, exponent = exact.as_tuple()
        whole = "".join(map(str, digits))
        short = whole.rstrip("0")
        made.text = f"{'-' if sign else ''}{short}e{int(exponent) + len(whole) - len(short)}"
        return made


def whole_of(text: str) -> int | float:
    """The value of a JSON number without fraction and exponent. Raises `ValueError` beyond the bounds."""
    return int(text) if len(text) <= _SHORT else _held(_decimal(text))


def number_of(text: str) -> int | float:
    """The value of a JSON number with a fraction or exponent. Raises `ValueError` beyond the bounds."""
    if len(text) <= _SHORT and "e" not in text and "E" not in text:
        return float(text)
    return _held(_decimal(text))


def _decimal(text: str) -> Decimal:
    if len(text) > MAX_NUMBER_CHARS:
        raise ValueError(f"has a number of more than {MAX_NUMBER_CHARS} characters")
    try:
        exact = Decimal(text)
    except ArithmeticError:
        raise ValueError("has a number whose exponent is too large") from None
    if len(exact.as_tuple().digits) > MAX_DIGITS:
        raise ValueError(f"has a number of more than {MAX_DIGITS} digits")
    return exact


def _held(exact: Decimal) -> int | float:
    """A safe integer or a double where its canonical text is this number, else an integer or a `LongNumber`."""
    whole = exact.adjusted() <= MAX_EXPONENT and exact == exact.to_integral_value()
    if whole and abs(exact) < 2**53:
        return int(exact)
    nearest = float(exact)
    if isfinite(nearest) and Decimal(repr(nearest)) == exact:
        return nearest
    return int(exact) if whole else LongNumber(exact)
