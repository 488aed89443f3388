"""What a pushed lead looks like, in each form in which it comes. Pure."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from hocket import Sensitive

#: Longest address in bytes: `lead/ADDRESS`, the subject of what is said, has at most 255.
MAX_EMAIL_BYTES = 250
#: Most orders of one customer, and most money spent, that a shop may tell.
MAX_ORDERS, MAX_SPENT = 1_000_000, Decimal(10_000_000)
#: Messages of the CRM's form, and topics of the shop, that tell of a lead; what else comes is taken and says nothing.
CONTACT_TYPES = frozenset({"contact.created", "contact.updated"})
CUSTOMER_TOPICS = frozenset({"customers/create", "customers/update"})
CENTS = 100


def _is_address(value: str) -> str:
    """Refuse characters that nobody sees, such as a zero-width space, and an address that is no subject."""
    if not value.isprintable():
        raise ValueError("has a character that cannot be printed")
    if len(value.encode()) > MAX_EMAIL_BYTES:
        raise ValueError(f"has more than {MAX_EMAIL_BYTES} bytes")
    return value


def _in_utc(value: datetime) -> datetime:
    """The same moment in UTC; refuse one that no calendar of UTC has."""
    try:
        return value.astimezone(UTC)
    except OverflowError as failed:
        raise ValueError("is a moment outside the years 1 to 9999") from failed


Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$"), AfterValidator(_is_address)]
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
Campaign = Annotated[str, StringConstraints(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]


class NewLead(BaseModel):
    """A lead as it is posted by a plain form."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    email: Sensitive[Email]
    campaign: Campaign = ""
    updated_at: Moment | None = None


class Contact(BaseModel):
    """The contact in a message of the CRM's form."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    email: Sensitive[Email]
    campaign: Campaign = ""
    updated_at: Moment


class ContactMessage(BaseModel):
    """A message of the CRM's form, in the shape that Standard Webhooks recommends."""

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    type: str
    timestamp: Moment
    data: Contact


class ShopCustomer(BaseModel):
    """A customer as Shopify sends it on `customers/create` and `customers/update`: the fields that are read here.

    A customer may have no address (a phone number alone); newer versions of Shopify's API leave out the two counts.
    """

    model_config = ConfigDict(frozen=True, hide_input_in_errors=True)

    id: int
    email: Sensitive[Email | None] = None
    updated_at: Moment
    orders_count: int = Field(default=0, ge=0, le=MAX_ORDERS)
    total_spent: Decimal = Field(default=Decimal(0), ge=0, le=MAX_SPENT)

    @property
    def spent_cents(self) -> int:
        """`total_spent` in cents, halves rounded to even."""
        return int((self.total_spent * CENTS).to_integral_value())
