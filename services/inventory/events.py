"""What inventory says, and what it hears of the others."""

from hocket import Event, Heard


class PaymentAuthorised(Heard, type="payment.authorised"):
    """An order whose money is held and whose goods are to be taken."""

    order_id: str
    sku: str
    quantity: int


class ParcelRefused(Heard, type="parcel.refused"):
    """The goods are carried by nobody: they stay in stock."""

    order_id: str
    reason: str


class OrderCancelled(Heard, type="order.cancelled"):
    """The order came to nothing, said in any flow and at any time: the goods go back into stock."""

    order_id: str
    reason: str


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


class StockReleased(Event, type="stock.released", subject="order/{order_id}"):
    """The goods of a failed order are back in stock, or were never taken."""

    order_id: str
    reason: str
