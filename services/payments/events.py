"""What payments says, and what it hears of the others."""

from hocket import Event, Heard, Sensitive


class OrderPlaced(Heard, type="order.placed"):
    """An order to charge."""

    order_id: str
    card: Sensitive[str]
    sku: str
    quantity: int
    total_cents: int


class StockRejected(Heard, type="stock.rejected"):
    """The goods cannot be had: the money goes back."""

    order_id: str
    reason: str


class PaymentCharged(Event, type="payment.charged", subject="order/{order_id}"):
    """The card was charged; carries what stock needs to go on."""

    order_id: str
    charge_id: str
    sku: str
    quantity: int
    total_cents: int


class PaymentDeclined(Event, type="payment.declined", subject="order/{order_id}"):
    """The card was not charged, or whatever was charged is being given back."""

    order_id: str
    reason: str


class PaymentRefunded(Event, type="payment.refunded", subject="order/{order_id}"):
    """The charge of a failed order was given back."""

    order_id: str
    refund_id: str
    refunded_cents: int
    reason: str
