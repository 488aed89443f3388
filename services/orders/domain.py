"""What an order is, when its state moves, and how it gets its id. Pure."""

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

#: Crockford's alphabet: no letter that is read as a digit.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
#: Characters of an order id: 50 bits, enough for a million orders with a chance of one in two thousand of a meeting.
ID_LENGTH = 10
#: Largest total of one order, in cents.
MAX_TOTAL_CENTS = 10_000_000_00
#: Most pieces in one order.
MAX_QUANTITY = 1000

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=_PRINTABLE)]
Email = Annotated[str, StringConstraints(max_length=254, pattern=r"^[^@\s\x00-\x1f\x7f]+@[^@\s\x00-\x1f\x7f]+$")]


class OrderState(StrEnum):
    """Where an order stands; a later state of this list is never left for an earlier one."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Cancelling(StrEnum):
    """Who cancelled an order."""

    CUSTOMER = "customer"
    SHOP = "shop"


class NewCancellation(BaseModel):
    """A cancellation as a customer posts it."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    reason: Text = "the customer asked"


class NewOrder(BaseModel):
    """An order as it is posted."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    customer: Text
    email: Email
    card: Text
    sku: Text
    quantity: int = Field(strict=True, ge=1, le=MAX_QUANTITY)
    total_cents: int = Field(strict=True, ge=1, le=MAX_TOTAL_CENTS)

    def fingerprint(self) -> str:
        """A hash of the whole order, by which another order under the same id is noticed."""
        return hashlib.blake2b(self.model_dump_json().encode(), digest_size=16).hexdigest()


def order_id_of(key: str) -> str:
    """The order id that belongs to an idempotency key: short, readable, the same each time."""
    bits = int.from_bytes(hashlib.blake2b(key.encode(), digest_size=16).digest(), "big")
    return "".join(ALPHABET[bits >> (5 * place) & 31] for place in range(ID_LENGTH))


def before(state: OrderState) -> Sequence[OrderState]:
    """The states from which a fact moves an order to this one: facts overtake each other, none a cancellation."""
    every = list(OrderState)
    return every[: every.index(state)]
