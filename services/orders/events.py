"""What orders says, and what it hears of the others."""

from typing import Literal

from hocket import Event, Heard, Sensitive


class OrderPlaced(Event, type="order.placed", subject="order/{order_id}"):
    """A customer placed an order; no money is held yet."""

    order_id: str
    customer: str
    email: Sensitive[str]
    card: Sensitive[str]
    sku: str
    quantity: int
    total_cents: int


class OrderConfirmed(Event, type="order.confirmed", subject="order/{order_id}"):
    """The order's money is held and its goods are taken from stock; carries what shipping needs to go on."""

    order_id: str
    email: Sensitive[str]
    sku: str
    quantity: int
    total_cents: int


class OrderCancelled(Event, type="order.cancelled", subject="order/{order_id}"):
    """The order came to nothing: whoever did something for it undoes that."""

    order_id: str
    email: Sensitive[str]
    reason: str
    by: Literal["customer", "shop"]


class PaymentDeclined(Heard, type="payment.declined"):
    """No money is held for the order."""

    order_id: str
    reason: str


class StockReserved(Heard, type="stock.reserved"):
    """The goods of the order are taken."""

    order_id: str


class StockRejected(Heard, type="stock.rejected"):
    """The goods of the order cannot be had."""

    order_id: str
    reason: str


class ParcelShipped(Heard, type="parcel.shipped"):
    """The goods of the order are on their way."""

    order_id: str


class ParcelRefused(Heard, type="parcel.refused"):
    """The goods of the order are carried by nobody."""

    order_id: str
    reason: str


class ParcelDelivered(Heard, type="parcel.delivered"):
    """The customer has the goods."""

    order_id: str
