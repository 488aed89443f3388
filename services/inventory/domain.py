"""What the answers of the shop system mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

#: The shop system's status for everything that stands against a request.
CONFLICT = 409
#: The word in a 409 that means: no goods left. Any other 409 is about the key.
SOLD_OUT = "sold-out"
#: What a customer reads when there is no stock.
NO_STOCK = "no stock"
#: What a customer reads when the shop system did not answer to the last attempt.
NO_ANSWER = "the shop system gave no answer"


@dataclass(frozen=True, slots=True)
class Reserved:
    """The goods are taken."""

    reservation_id: str


@dataclass(frozen=True, slots=True)
class SoldOut:
    """There are not enough goods, and nothing was taken."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The shop system will not act under this key, now or later; nothing was taken."""

    reason: str


def read_reservation(status: int, answer: Mapping[str, object]) -> Reserved | SoldOut | Refused:
    """The meaning of an answer to a reservation that is no failure of the shop system (below 500)."""
    if status < 300:
        return Reserved(str(answer["id"]))
    reason = str(answer.get("error", f"status {status}"))
    return SoldOut() if status == CONFLICT and reason == SOLD_OUT else Refused(reason)
