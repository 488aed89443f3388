"""What inventory says, and what it hears of the others."""

from hocket import Event, Heard


class PaymentCharged(Heard, type="payment.charged"):
    """A paid order, whose goods are to be taken."""

    order_id: str
    sku: str
    quantity: int


class StockReserved(Event, type="stock.reserved", subject="order/{order_id}"):
    """The goods of an order are taken."""

    order_id: str
    reservation_id: str
    sku: str
    quantity: int


class StockRejected(Event, type="stock.rejected", subject="order/{order_id}"):
    """The goods of an order cannot be had."""

    order_id: str
    sku: str
    reason: str
