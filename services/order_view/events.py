"""What the view hears; it says nothing."""

from typing import Literal

from pydantic import AwareDatetime

from hocket import Heard, Sensitive


class OrderPlaced(Heard, type="order.placed"):
    """A customer placed an order."""

    order_id: str
    email: Sensitive[str]
    sku: str
    quantity: int
    total_cents: int


class OrderConfirmed(Heard, type="order.confirmed"):
    """Its money is held and its goods are taken."""

    order_id: str


class OrderCancelled(Heard, type="order.cancelled"):
    """It came to nothing."""

    order_id: str
    reason: str
    by: Literal["customer", "shop"]


class PaymentAuthorised(Heard, type="payment.authorised"):
    """Its money is held."""

    order_id: str
    total_cents: int


class PaymentDeclined(Heard, type="payment.declined"):
    """No money is held."""

    order_id: str
    reason: str


class PaymentCaptured(Heard, type="payment.captured"):
    """Its money is taken."""

    order_id: str
    total_cents: int


class PaymentVoided(Heard, type="payment.voided"):
    """Its money is held no longer."""

    order_id: str
    voided_cents: int


class PaymentRefunded(Heard, type="payment.refunded"):
    """Its money was given back."""

    order_id: str
    refunded_cents: int


class StockReserved(Heard, type="stock.reserved"):
    """Its goods are taken."""

    order_id: str


class StockRejected(Heard, type="stock.rejected"):
    """Its goods cannot be had."""

    order_id: str
    reason: str


class StockReleased(Heard, type="stock.released"):
    """Its goods are back in stock."""

    order_id: str


class ParcelShipped(Heard, type="parcel.shipped"):
    """Its goods are on their way."""

    order_id: str
    parcel_id: str


class ParcelRefused(Heard, type="parcel.refused"):
    """Its goods are carried by nobody."""

    order_id: str
    reason: str


class ParcelRecalled(Heard, type="parcel.recalled"):
    """Its parcel is on its way back."""

    order_id: str


class ParcelDelivered(Heard, type="parcel.delivered"):
    """Its customer has it."""

    order_id: str


class LeadCaptured(Heard, type="lead.captured"):
    """Somebody showed interest; what was said before there were senders has neither delivery nor moment."""

    email: Sensitive[str]
    campaign: str
    source: str = "form"
    delivery: str = ""
    updated_at: AwareDatetime | None = None


class LeadScored(Heard, type="lead.scored"):
    """Somebody's interest was scored."""

    email: Sensitive[str]
    delivery: str
    points: int
    grade: str


GoodsFact = (
    StockReserved | StockRejected | StockReleased | ParcelShipped | ParcelRefused | ParcelRecalled | ParcelDelivered
)
PaymentFact = PaymentAuthorised | PaymentDeclined | PaymentCaptured | PaymentVoided | PaymentRefunded
OrderFact = OrderPlaced | OrderConfirmed | OrderCancelled | PaymentFact | GoodsFact
LeadFact = LeadCaptured | LeadScored
