"""What the answers of the card system mean. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

#: The card system's words for a card that will not pay.
PAYMENT_REQUIRED = 402
#: What a customer reads when the card system did not answer to the last attempt.
NO_ANSWER = "the card system gave no answer"


@dataclass(frozen=True, slots=True)
class Charged:
    """The card paid."""

    charge_id: str


@dataclass(frozen=True, slots=True)
class Declined:
    """The card will not pay, and nothing was taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The card system will not act under this key, now or later; nothing was taken."""

    reason: str


@dataclass(frozen=True, slots=True)
class Refunded:
    """What a refund gave back; 0 cents where nothing had been taken."""

    refund_id: str
    cents: int


def read_charge(status: int, answer: Mapping[str, object]) -> Charged | Declined | Refused:
    """The meaning of an answer to a charge that is no failure of the card system (below 500)."""
    if status < 300:
        return Charged(str(answer["id"]))
    reason = str(answer.get("error", f"status {status}"))
    return Declined(reason) if status == PAYMENT_REQUIRED else Refused(reason)


def read_refund(status: int, answer: Mapping[str, object]) -> Refunded | Refused:
    """The meaning of an answer to a refund that is no failure of the card system (below 500)."""
    if status < 300:
        return Refunded(str(answer["id"]), int(str(answer["refunded_cents"])))
    return Refused(str(answer.get("error", f"status {status}")))
