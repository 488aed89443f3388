"""What the others say confirms or cancels an order."""

from hocket import Reject, Tx
from services.orders import storage
from services.orders.domain import OrderState, moves
from services.orders.events import OrderCancelled, OrderConfirmed, PaymentDeclined, StockRejected, StockReserved
from services.orders.service import orders


@orders.handler
async def confirm(event: StockReserved, tx: Tx) -> OrderConfirmed | None:
    """Confirm the order; an order that was cancelled meanwhile stays cancelled."""
    order = await _moved(tx, event.order_id, OrderState.CONFIRMED)
    return OrderConfirmed(order_id=order.order_id, email=order.email) if order else None


@orders.handler
async def cancel(event: PaymentDeclined | StockRejected, tx: Tx) -> OrderCancelled | None:
    """Cancel the order, once, with the first reason heard."""
    order = await _moved(tx, event.order_id, OrderState.CANCELLED, event.reason)
    return OrderCancelled(order_id=order.order_id, email=order.email, reason=event.reason) if order else None


async def _moved(tx: Tx, order_id: str, to: OrderState, reason: str = "") -> storage.Order | None:
    db = await tx.db()
    order = await storage.find(db, order_id)
    if order is None:
        raise Reject(f"order {order_id} was never placed here: look whether orders runs on the right database")
    if not moves(order.state, to):
        return None
    await storage.move(db, order_id, to, reason)
    return order
