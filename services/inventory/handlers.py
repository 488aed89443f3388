"""Take an order's goods; give them back when nobody knows whether they were taken.

No breaker stands here: a shop system that stays down must end in a rejection, and so in a refund, and attempts that a
breaker defers are never used up.
"""

from datetime import timedelta

from hocket import Death, Reject, Retry, Tx
from services.inventory import storage
from services.inventory.domain import NO_ANSWER, NO_STOCK, Refused, Reserved, SoldOut
from services.inventory.events import PaymentCharged, StockRejected, StockReserved
from services.inventory.service import Stock, inventory

RESERVE_RETRY = Retry(retries=5, first=timedelta(seconds=0.3), longest=timedelta(seconds=3))
#: Goods that must go back are given back for long before a person has to look.
RELEASE_RETRY = Retry(retries=20, first=timedelta(seconds=0.5), longest=timedelta(seconds=30))


@inventory.handler(retry=RESERVE_RETRY)
async def reserve(paid: PaymentCharged, tx: Tx[Stock]) -> StockReserved | StockRejected:
    """Take the goods, outside, under a key that stays the same however often it is asked."""
    answer = await tx.use.reserve(paid.order_id, paid.sku, paid.quantity, key=tx.idempotency_key)
    match answer:
        case Reserved(reservation_id=reservation_id):
            db = await tx.db()
            await storage.note_reservation(db, paid.order_id, reservation_id, paid.sku, paid.quantity)
            return StockReserved(
                order_id=paid.order_id, reservation_id=reservation_id, sku=paid.sku, quantity=paid.quantity
            )
        case SoldOut():
            return StockRejected(order_id=paid.order_id, sku=paid.sku, reason=NO_STOCK)
        case Refused(reason=reason):
            raise Reject(f"the shop system refuses the reservation of order {paid.order_id}: {reason}")


@inventory.on_dead(reserve)
def reserve_gave_up(paid: PaymentCharged, death: Death) -> StockRejected:
    """A shop that stays down is a rejection, so that the money goes back; the undo gives back what was taken."""
    return StockRejected(order_id=paid.order_id, sku=paid.sku, reason=NO_ANSWER)


@inventory.undo(reserve, StockReserved, by="order_id", retry=RELEASE_RETRY)
async def release(paid: PaymentCharged, reserved: StockReserved | None, why: StockRejected, tx: Tx[Stock]) -> None:
    """Give back whatever the reservation's own key took, also when nobody knows whether it did."""
    await tx.use.release(paid.order_id, key=tx.idempotency_key, original=tx.step_key)
    await storage.note_release(await tx.db(), paid.order_id)
