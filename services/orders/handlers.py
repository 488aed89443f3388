"""What the others say moves an order on; what they do not say in time cancels it."""

from datetime import timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket import Reject, Tx
from services.orders import storage
from services.orders.domain import Cancelling, OrderState
from services.orders.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    ParcelDelivered,
    ParcelRefused,
    ParcelShipped,
    PaymentDeclined,
    StockRejected,
    StockReserved,
)
from services.orders.service import orders

#: How long an order may take until its parcel is on its way. A real shop would say days; here one can watch it.
SHIPPED_WITHIN = timedelta(seconds=30)
#: What a customer reads when that time is over.
TOO_LATE = "it could not be shipped in time"


@orders.handler
async def confirm(event: StockReserved, tx: Tx) -> OrderConfirmed | None:
    """Confirm the order; an order that was cancelled meanwhile stays cancelled."""
    order = await _moved(tx, event.order_id, OrderState.CONFIRMED)
    if order is None:
        return None
    return OrderConfirmed(
        order_id=order.order_id,
        email=order.email,
        sku=order.sku,
        quantity=order.quantity,
        total_cents=order.total_cents,
    )


@orders.handler
async def note_shipped(event: ParcelShipped, tx: Tx) -> None:
    """The order is on its way."""
    await _moved(tx, event.order_id, OrderState.SHIPPED)


@orders.handler
async def note_delivered(event: ParcelDelivered, tx: Tx) -> None:
    """The order is with its customer."""
    await _moved(tx, event.order_id, OrderState.DELIVERED)


@orders.handler
async def cancel(event: PaymentDeclined | StockRejected | ParcelRefused, tx: Tx) -> OrderCancelled | None:
    """Cancel the order, once, with the first reason heard."""
    return await _cancelled(tx, event.order_id, event.reason)


@orders.overdue(
    SHIPPED_WITHIN,
    unless=(ParcelShipped, PaymentDeclined, StockRejected, ParcelRefused, OrderCancelled),
    by="order_id",
    across=True,
    late="undone",
)
async def unshipped(order: OrderPlaced, tx: Tx) -> OrderCancelled | None:
    """Cancel an order of which nothing came: some service or what it calls is away for too long."""
    return await _cancelled(tx, order.order_id, TOO_LATE, unless=OrderState.SHIPPED)


async def _moved(tx: Tx, order_id: str, to: OrderState) -> storage.Order | None:
    db = await tx.db()
    moved = await storage.move(db, order_id, to)
    if moved is None:
        await _known(db, order_id)
    return moved


async def _cancelled(tx: Tx, order_id: str, reason: str, *, unless: OrderState | None = None) -> OrderCancelled | None:
    db = await tx.db()
    order = await storage.cancel(db, order_id, Cancelling.SHOP, reason, flow=tx.correlation_id, unless=unless)
    if order is None:
        await _known(db, order_id)
        return None
    return OrderCancelled(order_id=order_id, email=order.email, reason=reason, by="shop")


async def _known(db: AsyncConnection, order_id: str) -> None:
    if await storage.find(db, order_id) is None:
        raise Reject(f"order {order_id} was never placed here: look whether orders runs on the right database")
