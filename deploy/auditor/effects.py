"""What each order did to the outside world, and what of it still stands, told from the books alone. Pure.

An act and what gives it back are matched by key: giving back names the `original` key of the act.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deploy.auditor.evidence import Evidence, Row


@dataclass(frozen=True, slots=True)
class Effect:
    """One sort of act outside, and how it is given back."""

    target: str  # the system in whose books it stands
    did: str
    undone: str
    done_words: str  # behind "it was", where it was done more than once
    undone_words: str
    stands: str  # of a cancelled order: what must not be
    missing: str  # of an order that ended well: what must not be


HOLD = Effect(
    "cards", "authorised", "voided", "authorised", "voided",
    "its card is still held: the authorisation was neither captured nor voided", "no authorisation was given",
)  # fmt: skip
CAPTURE = Effect(
    "cards", "captured", "refunded", "captured", "refunded",
    "its card was captured and never refunded", "nothing is captured for it",
)  # fmt: skip
GOODS = Effect(
    "stock", "reserved", "released", "given goods", "relieved of its goods",
    "its goods are still held", "no goods are held for it",
)  # fmt: skip
PARCEL = Effect(
    "carrier", "booked", "recalled", "booked as a parcel", "recalled",
    "its parcel was booked and never recalled", "no parcel is booked for it",
)  # fmt: skip
EFFECTS = (HOLD, CAPTURE, GOODS, PARCEL)


def order_of(line: Row) -> str:
    """The order that a line of the books names; "" where it names none."""
    return str(line["request"].get("order_id", ""))


def did(lines: Iterable[Row], what: str) -> list[Row]:
    """The lines that did this."""
    return [line for line in lines if line["did"] == what]


def books_of(evidence: Evidence, effect: Effect) -> tuple[Row, ...]:
    """The books in which an effect stands."""
    books: tuple[Row, ...] = getattr(evidence, effect.target)
    return books


def acts(evidence: Evidence, effect: Effect) -> Counter[str]:
    """How often each order had this act, given back or not."""
    return Counter(order_of(line) for line in did(books_of(evidence, effect), effect.did))


def given_back(evidence: Evidence, effect: Effect) -> Counter[str]:
    """How often each order had it given back."""
    return Counter(order_of(line) for line in did(books_of(evidence, effect), effect.undone))


def standing(evidence: Evidence) -> Mapping[Effect, Counter[str]]:
    """How many of each effect stand for each order; an authorisation that was captured holds nothing any more."""
    return {effect: Counter(order_of(line) for line in _standing(evidence, effect)) for effect in EFFECTS}


def _standing(evidence: Evidence, effect: Effect) -> list[Row]:
    books = books_of(evidence, effect)
    gone = {line["original"] for line in did(books, effect.undone)}
    left = [line for line in did(books, effect.did) if line["key"] not in gone]
    if effect is HOLD:
        taken = {line["request"].get("authorisation_id") for line in did(books, CAPTURE.did)}
        left = [line for line in left if line["answer"].get("id") not in taken]
    return left
