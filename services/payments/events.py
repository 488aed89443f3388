"""What payments says, and what it hears of the others."""

from hocket import Event, Heard, Sensitive


class OrderPlaced(Heard, type="order.placed"):
    """An order whose money is to be held."""

    order_id: str
    card: Sensitive[str]
    sku: str
    quantity: int
    total_cents: int


class ParcelShipped(Heard, type="parcel.shipped"):
    """The goods are on their way: the money is to be taken."""

    order_id: str


class StockRejected(Heard, type="stock.rejected"):
    """The goods cannot be had: the money is held no longer."""

    order_id: str
    reason: str


class ParcelRefused(Heard, type="parcel.refused"):
    """The goods are carried by nobody: the money is held no longer."""

    order_id: str
    reason: str


class OrderCancelled(Heard, type="order.cancelled"):
    """The order came to nothing, said in any flow and at any time: the money goes back."""

    order_id: str
    reason: str


class PaymentAuthorised(Event, type="payment.authorised", subject="order/{order_id}"):
    """The money is held, and not taken yet; carries what stock needs to go on."""

    order_id: str
    authorisation_id: str
    sku: str
    quantity: int
    total_cents: int


class PaymentDeclined(Event, type="payment.declined", subject="order/{order_id}"):
    """No money is held for the order, or whatever is held is being given back."""

    order_id: str
    reason: str


class PaymentVoided(Event, type="payment.voided", subject="order/{order_id}"):
    """What was held for a failed order is held no longer."""

    order_id: str
    void_id: str
    voided_cents: int
    reason: str


class PaymentCaptured(Event, type="payment.captured", subject="order/{order_id}"):
    """The money of a shipped order is taken."""

    order_id: str
    capture_id: str
    total_cents: int


class PaymentRefunded(Event, type="payment.refunded", subject="order/{order_id}"):
    """What was taken for a failed order was given back."""

    order_id: str
    refund_id: str
    refunded_cents: int
    reason: str
