"""The one projection of the view: orders, and what happened to their customers."""

from hocket import Tx
from services.order_view import storage
from services.order_view.domain import Customers, Order, folded, lead_line, order_line, rfc3339
from services.order_view.events import LeadCaptured, LeadFact, LeadScored, OrderFact
from services.order_view.service import order_view


@order_view.projection(storage.order_table, storage.line_table)
async def shop_history(fact: OrderFact | LeadFact, tx: Tx[Customers]) -> None:
    """Write down what the fact changes, and its line. Change what is kept: raise `version`."""
    db, at, flow, customers = await tx.db(), rfc3339(tx.time), tx.correlation_id, tx.use
    lines = tx.table(storage.line_table)
    if isinstance(fact, LeadCaptured | LeadScored):
        await storage.note(db, lines, lead_line(fact, at=at, flow=flow, customers=customers))
        return
    orders = tx.table(storage.order_table)
    known = await storage.order(db, orders, fact.order_id)
    order = folded(known or Order(fact.order_id), fact, at=at, flow=flow, customers=customers)
    await storage.put(db, orders, order, new=known is None)
    await storage.note(db, lines, order_line(fact, at=at, flow=flow))
