"""Inventory, small: a step that says many, undone as a whole."""

from hocket import Event, Heard, Service, Tx

inventory = Service("inventory", owner="team-stock")


class PaymentCharged(Heard, type="payment.charged"):
    """The money is there."""

    order_id: str
    skus: tuple[str, ...] = ()


class OrderCancelled(Heard, type="order.cancelled"):
    """A failure."""

    order_id: str


class StockReserved(Event, type="stock.reserved", subject="order/{order_id}"):
    """Goods were set aside."""

    order_id: str
    sku: str


class StockLow(Event, type="stock.low", subject="sku/{sku}"):
    """Goods run out."""

    sku: str


@inventory.handler
async def reserve(paid: PaymentCharged, tx: Tx) -> list[StockReserved | StockLow]:
    """One event for every article, and more."""
    said: list[StockReserved | StockLow] = [StockReserved(order_id=paid.order_id, sku=sku) for sku in paid.skus]
    return [*said, *(StockLow(sku=sku) for sku in paid.skus)]


@inventory.undo(reserve, StockReserved)
async def release(paid: PaymentCharged, reserved: list[StockReserved], why: OrderCancelled, tx: Tx) -> None:
    """Give everything back."""
    db = await tx.db()
    for each in reserved:
        await db.exec_driver_sql("delete from reservations where sku = ?", (each.sku,))
