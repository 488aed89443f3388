"""What orders says, and what it hears of the others."""

from hocket import Event, Heard, Sensitive


class OrderPlaced(Event, type="order.placed", subject="order/{order_id}"):
    """A customer placed an order; nothing has been charged yet."""

    order_id: str
    customer: str
    email: Sensitive[str]
    card: Sensitive[str]
    sku: str
    quantity: int
    total_cents: int


class OrderConfirmed(Event, type="order.confirmed", subject="order/{order_id}"):
    """The order is paid and its goods are taken from stock."""

    order_id: str
    email: Sensitive[str]


class OrderCancelled(Event, type="order.cancelled", subject="order/{order_id}"):
    """The order came to nothing; what was charged is given back by payments."""

    order_id: str
    email: Sensitive[str]
    reason: str


class StockReserved(Heard, type="stock.reserved"):
    """The goods of the order are taken."""

    order_id: str


class StockRejected(Heard, type="stock.rejected"):
    """The goods of the order cannot be had."""

    order_id: str
    reason: str


class PaymentDeclined(Heard, type="payment.declined"):
    """The card of the order was not charged."""

    order_id: str
    reason: str
