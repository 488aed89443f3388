"""A small inventory service: a step that says a list of events, and its undo."""

from hocket import Event, Heard, Service, Tx

inventory = Service("inventory", owner="team-stock")


class PaymentCharged(Heard, type="payment.charged"):
    """The payment was made."""

    order_id: str
    skus: tuple[str, ...] = ()


class OrderCancelled(Heard, type="order.cancelled"):
    """A failure."""

    order_id: str


class StockReserved(Event, type="stock.reserved", subject="order/{order_id}"):
    """Goods were reserved."""

    order_id: str
    sku: str


class StockLow(Event, type="stock.low", subject="sku/{sku}"):
    """An article is nearly sold out."""

    sku: str


@inventory.handler
async def reserve(paid: PaymentCharged, tx: Tx) -> list[StockReserved | StockLow]:
    """Say one event for each article, and others."""
    said: list[StockReserved | StockLow] = [StockReserved(order_id=paid.order_id, sku=sku) for sku in paid.skus]
    return [*said, *(StockLow(sku=sku) for sku in paid.skus)]


@inventory.undo(reserve, StockReserved)
async def release(paid: PaymentCharged, reserved: list[StockReserved], why: OrderCancelled, tx: Tx) -> None:
    """Release all reservations."""
    db = await tx.db()
    for each in reserved:
        await db.exec_driver_sql("delete from reservations where sku = ?", (each.sku,))
