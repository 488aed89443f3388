"""What each request to the outside world must say."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.sandbox.domain import Api

Text = Annotated[str, StringConstraints(min_length=1, max_length=1000)]


class Asking(BaseModel):
    """The body of a request; fields that are not named are kept in the books and otherwise ignored."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Authorisation(Asking):
    """`cards/authorisations`."""

    order_id: Text
    card: Text
    total_cents: int = Field(ge=1)


class Capture(Asking):
    """`cards/captures`."""

    order_id: Text
    authorisation_id: Text
    total_cents: int = Field(ge=1)


class Goods(Asking):
    """`stock/reservations` and `carrier/parcels`."""

    order_id: Text
    sku: Text
    quantity: int = Field(ge=1)


class Undoing(Asking):
    """What gives back: `cards/voids`, `cards/refunds`, `stock/releases` and `carrier/recalls`."""

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
    Api.AUTHORISATIONS: Authorisation,
    Api.VOIDS: Undoing,
    Api.CAPTURES: Capture,
    Api.REFUNDS: Undoing,
    Api.RESERVATIONS: Goods,
    Api.RELEASES: Undoing,
    Api.PARCELS: Goods,
    Api.RECALLS: Undoing,
    Api.LEADS: Lead,
    Api.MESSAGES: Message,
}
