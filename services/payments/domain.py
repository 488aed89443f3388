"""What the answers of the card system mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

#: Statuses below 500 with which the card system says that it is busy, and nothing about the request.
BUSY = frozenset({408, 425, 429})
#: The card system's words for a card that will not pay.
PAYMENT_REQUIRED = 402
#: The card system's status for everything that stands against a request.
CONFLICT = 409
#: The word in a 409 that means: the money is held no longer. Any other 409 is about the key or the authorisation.
VOIDED = "voided"
#: What a customer reads when the card system did not answer to the last attempt.
NO_ANSWER = "the card system gave no answer"


@dataclass(frozen=True, slots=True)
class Authorised:
    """The money is held."""

    authorisation_id: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The card will not pay, and nothing is held."""

    reason: str


@dataclass(frozen=True, slots=True)
class Captured:
    """The money that was held is taken."""

    capture_id: str


@dataclass(frozen=True, slots=True)
class Lapsed:
    """The authorisation was voided: nothing is held any more, and nothing was taken."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The card system will not act under this key, now or later; nothing was taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class GivenBack:
    """What a void or a refund gave back; 0 cents where there was nothing to give back."""

    receipt_id: str
    cents: int


def is_failure(status: int) -> bool:
    """Whether an answer says only that the card system is ill or busy: to be asked again later."""
    return status >= 500 or status in BUSY


def read_authorisation(status: int, answer: Mapping[str, object]) -> Authorised | Declined | Refused:
    """The meaning of an answer to an authorisation that is no failure of the card system."""
    if status < 300:
        return Authorised(str(answer["id"]))
    return Declined(_error(status, answer)) if status == PAYMENT_REQUIRED else Refused(_error(status, answer))


def read_capture(status: int, answer: Mapping[str, object]) -> Captured | Lapsed | Refused:
    """The meaning of an answer to a capture that is no failure of the card system."""
    if status < 300:
        return Captured(str(answer["id"]))
    reason = _error(status, answer)
    return Lapsed() if status == CONFLICT and reason == VOIDED else Refused(reason)


def read_void(status: int, answer: Mapping[str, object]) -> GivenBack | Refused:
    """The meaning of an answer to a void that is no failure of the card system."""
    return _read_given_back(status, answer, "voided_cents")


def read_refund(status: int, answer: Mapping[str, object]) -> GivenBack | Refused:
    """The meaning of an answer to a refund that is no failure of the card system."""
    return _read_given_back(status, answer, "refunded_cents")


def _read_given_back(status: int, answer: Mapping[str, object], cents: str) -> GivenBack | Refused:
    if status < 300:
        return GivenBack(str(answer["id"]), int(str(answer[cents])))
    return Refused(_error(status, answer))


def _error(status: int, answer: Mapping[str, object]) -> str:
    return str(answer.get("error", f"status {status}"))
