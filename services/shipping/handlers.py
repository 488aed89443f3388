"""Hand a confirmed order's goods to the carrier; call them back when the order fails."""

from datetime import timedelta

from hocket import Death, Reject, Retry, Tx
from services.shipping import storage
from services.shipping.domain import NO_ANSWER, NOT_CARRIED, Booked, NotCarried, Refused
from services.shipping.events import OrderCancelled, OrderConfirmed, ParcelRecalled, ParcelRefused, ParcelShipped
from services.shipping.service import Carrier, carrier_api, shipping

#: All attempts together take less than the time-out of an order.
SHIP_RETRY = Retry(retries=5, first=timedelta(seconds=0.3), longest=timedelta(seconds=3))
#: Longest time of one attempt; each makes one call, which has a bound of its own.
ATTEMPT = timedelta(seconds=2.5)
#: A parcel that must come back is called back for long before a person has to look.
RECALL_RETRY = Retry(retries=20, first=timedelta(seconds=0.5), longest=timedelta(seconds=30))
#: How long an order can still be cancelled: a customer may return what was delivered.
REMEMBER = timedelta(days=30)


@shipping.handler(retry=SHIP_RETRY, timeout=ATTEMPT, breaker=carrier_api)
async def ship(order: OrderConfirmed, tx: Tx[Carrier]) -> ParcelShipped | ParcelRefused:
    """Hand over the parcel, outside, under a key that stays the same however often it is asked."""
    async with tx.outside(carrier_api) as key:
        answer = await tx.use.book(order.order_id, order.sku, order.quantity, key=key)
    match answer:
        case Booked(parcel_id=parcel_id):
            await storage.note_parcel(await tx.db(), order.order_id, parcel_id, tx.correlation_id)
            return ParcelShipped(order_id=order.order_id, parcel_id=parcel_id)
        case NotCarried():
            return ParcelRefused(order_id=order.order_id, reason=NOT_CARRIED)
        case Refused(reason=reason):
            raise Reject(f"the carrier refuses the parcel of order {order.order_id}: {reason}")


@shipping.on_dead(ship)
def ship_gave_up(order: OrderConfirmed, death: Death) -> ParcelRefused:
    """A parcel that was given up may be booked: say refused, and the undo calls back what was booked."""
    return ParcelRefused(order_id=order.order_id, reason=NO_ANSWER)


@shipping.undo(
    ship, ParcelShipped, by="order_id", across=True, remember=REMEMBER, retry=RECALL_RETRY, breaker=carrier_api
)
async def recall(
    order: OrderConfirmed, shipped: ParcelShipped | None, why: ParcelRefused | OrderCancelled, tx: Tx[Carrier]
) -> ParcelRecalled:
    """Call back whatever the step's own key booked, also when nobody knows whether it did."""
    async with tx.outside(carrier_api) as key:
        answer = await tx.use.recall(order.order_id, key=key, original=tx.step_key)
    if isinstance(answer, Refused):
        raise Reject(f"the carrier refuses the recall of order {order.order_id}: {answer.reason}")
    await storage.note_recall(await tx.db(), order.order_id)
    return ParcelRecalled(order_id=order.order_id, recall_id=answer, reason=why.reason)
