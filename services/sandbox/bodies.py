"""What each request to the outside world must say."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.sandbox.domain import Api

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Asking(BaseModel):
    """The body of a request; fields that are not named are kept in the books and otherwise ignored."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Charge(Asking):
    """`cards/charges`."""

    order_id: Text
    card: Text
    total_cents: int = Field(ge=1)


class Reservation(Asking):
    """`stock/reservations`."""

    order_id: Text
    sku: Text
    quantity: int = Field(ge=1)


class Undoing(Asking):
    """`cards/refunds` and `stock/releases`."""

    order_id: Text
    original: Text


class Lead(Asking):
    """`crm/leads`."""

    email: Text


class Message(Asking):
    """`mail/messages`."""

    to: Text
    title: Text
    text: str = Field(max_length=100_000)


BODIES: Mapping[Api, type[Asking]] = {
    Api.CHARGES: Charge,
    Api.REFUNDS: Undoing,
    Api.RESERVATIONS: Reservation,
    Api.RELEASES: Undoing,
    Api.LEADS: Lead,
    Api.MESSAGES: Message,
}
