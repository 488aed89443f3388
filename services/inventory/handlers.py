"""Take an order's goods; give them back when the order fails."""

from datetime import timedelta

from hocket import Death, Reject, Retry, Tx
from services.inventory import storage
from services.inventory.domain import NO_ANSWER, NO_STOCK, Refused, Reserved, SoldOut
from services.inventory.events import (
    OrderCancelled,
    ParcelRefused,
    PaymentAuthorised,
    StockRejected,
    StockReleased,
    StockReserved,
)
from services.inventory.service import Stock, inventory, stock_api

#: All attempts together take less than the time-out of an order.
RESERVE_RETRY = Retry(retries=5, first=timedelta(seconds=0.3), longest=timedelta(seconds=3))
#: Longest time of one attempt; each makes one call, which has a bound of its own.
ATTEMPT = timedelta(seconds=2.5)
#: Goods that must go back are given back for long before a person has to look.
RELEASE_RETRY = Retry(retries=20, first=timedelta(seconds=0.5), longest=timedelta(seconds=30))
#: How long an order can still be cancelled: a customer may return what was delivered.
REMEMBER = timedelta(days=30)


@inventory.handler(retry=RESERVE_RETRY, timeout=ATTEMPT, breaker=stock_api)
async def reserve(paid: PaymentAuthorised, tx: Tx[Stock]) -> StockReserved | StockRejected:
    """Take the goods, outside, under a key that stays the same however often it is asked."""
    async with tx.outside(stock_api) as key:
        answer = await tx.use.reserve(paid.order_id, paid.sku, paid.quantity, key=key)
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
def reserve_gave_up(paid: PaymentAuthorised, death: Death) -> StockRejected:
    """Goods that were asked for in vain may be taken: say rejected, and the undo gives back what was taken."""
    return StockRejected(order_id=paid.order_id, sku=paid.sku, reason=NO_ANSWER)


@inventory.undo(
    reserve, StockReserved, by="order_id", across=True, remember=REMEMBER, retry=RELEASE_RETRY, breaker=stock_api
)
async def release(
    paid: PaymentAuthorised,
    reserved: StockReserved | None,
    why: StockRejected | ParcelRefused | OrderCancelled,
    tx: Tx[Stock],
) -> StockReleased:
    """Give back whatever the step's own key took, also when nobody knows whether it did."""
    async with tx.outside(stock_api) as key:
        refused = await tx.use.release(paid.order_id, key=key, original=tx.step_key)
    if refused:
        raise Reject(f"the shop system refuses the release of order {paid.order_id}: {refused.reason}")
    await storage.note_release(await tx.db(), paid.order_id)
    return StockReleased(order_id=paid.order_id, reason=why.reason)
