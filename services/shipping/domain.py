"""What the answers of the carrier mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Statuses below 500 with which the carrier says that it is busy, and nothing about the parcel.
BUSY = frozenset({408, 425, 429})
#: The carrier's status for what it cannot act on.
UNPROCESSABLE = 422
#: The word in a 422 that means: it carries no such goods. Any other 422 is about the request.
REFUSED = "refused"
#: What a customer reads when the carrier will not have the goods.
NOT_CARRIED = "no carrier takes these goods"
#: What a customer reads when the carrier did not answer to the last attempt.
NO_ANSWER = "the carrier gave no answer"


@dataclass(frozen=True, slots=True)
class Booked:
    """The carrier has the parcel."""

    parcel_id: str


@dataclass(frozen=True, slots=True)
class NotCarried:
    """The carrier will not have these goods, and nothing is booked."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The carrier will not act under this key, now or later; nothing is booked."""

    reason: str


def is_failure(status: int) -> bool:
    """Whether an answer says only that the carrier is ill or busy: to be asked again later."""
    return status >= 500 or status in BUSY


def read_parcel(status: int, answer: Mapping[str, object]) -> Booked | NotCarried | Refused:
    """The meaning of an answer to a parcel that is no failure of the carrier."""
    if status < 300:
        return Booked(str(answer["id"]))
    reason = str(answer.get("error", f"status {status}"))
    return NotCarried() if status == UNPROCESSABLE and reason == REFUSED else Refused(reason)


def read_recall(status: int, answer: Mapping[str, object]) -> str | Refused:
    """The id of a recall, by an answer that is no failure of the carrier."""
    return str(answer["id"]) if status < 300 else Refused(str(answer.get("error", f"status {status}")))
