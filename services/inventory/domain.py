"""What the answers of the shop system mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Statuses below 500 with which the shop system says that it is busy, and nothing about the request.
BUSY = frozenset({408, 425, 429})
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


def is_failure(status: int) -> bool:
    """Whether an answer says only that the shop system is ill or busy: to be asked again later."""
    return status >= 500 or status in BUSY


def read_reservation(status: int, answer: Mapping[str, object]) -> Reserved | SoldOut | Refused:
    """The meaning of an answer to a reservation that is no failure of the shop system."""
    if status < 300:
        return Reserved(str(answer["id"]))
    reason = str(answer.get("error", f"status {status}"))
    return SoldOut() if status == CONFLICT and reason == SOLD_OUT else Refused(reason)


def read_release(status: int, answer: Mapping[str, object]) -> Refused | None:
    """The meaning of an answer to a release that is no failure of the shop system; None: nothing is taken any more."""
    return None if status < 300 else Refused(str(answer.get("error", f"status {status}")))
