"""Hold an order's money, take it when the parcel is on its way, and give it back when the order fails."""

from datetime import timedelta

from hocket import Death, Reject, Retry, Tx
from services.payments import storage
from services.payments.domain import NO_ANSWER, Authorised, Captured, Declined, Lapsed, Refused
from services.payments.events import (
    OrderCancelled,
    OrderPlaced,
    ParcelRefused,
    ParcelShipped,
    PaymentAuthorised,
    PaymentCaptured,
    PaymentDeclined,
    PaymentRefunded,
    PaymentVoided,
    StockRejected,
)
from services.payments.service import Cards, card_api, payments

#: All attempts together take less than the time-out of an order.
AUTHORISE_RETRY = Retry(retries=5, first=timedelta(seconds=0.5), longest=timedelta(seconds=5))
#: Longest time of one attempt; each makes one call, which has a bound of its own.
ATTEMPT = timedelta(seconds=2.5)
#: Money that is owed, or must go back, is asked for long before a person has to look.
OWED_RETRY = Retry(retries=20, first=timedelta(seconds=0.5), longest=timedelta(seconds=30))
#: How long an order can still be cancelled: a customer may return what was delivered.
REMEMBER = timedelta(days=30)


@payments.handler(retry=AUTHORISE_RETRY, timeout=ATTEMPT, breaker=card_api)
async def authorise(order: OrderPlaced, tx: Tx[Cards]) -> PaymentAuthorised | PaymentDeclined:
    """Hold the money, outside, under a key that stays the same however often it is asked."""
    async with tx.outside(card_api) as key:
        answer = await tx.use.authorise(order.order_id, order.card, order.total_cents, key=key)
    match answer:
        case Authorised(authorisation_id=authorisation_id):
            await storage.note_authorisation(await tx.db(), order.order_id, authorisation_id, order.total_cents)
            return PaymentAuthorised(
                order_id=order.order_id,
                authorisation_id=authorisation_id,
                sku=order.sku,
                quantity=order.quantity,
                total_cents=order.total_cents,
            )
        case Declined(reason=reason):
            return PaymentDeclined(order_id=order.order_id, reason=reason)
        case Refused(reason=reason):
            raise Reject(f"the card system refuses the authorisation of order {order.order_id}: {reason}")


@payments.on_dead(authorise)
def authorise_gave_up(order: OrderPlaced, death: Death) -> PaymentDeclined:
    """An authorisation that was given up may have happened: say declined, and the undo lets go what is held."""
    return PaymentDeclined(order_id=order.order_id, reason=NO_ANSWER)


@payments.undo(
    authorise, PaymentAuthorised, by="order_id", across=True, remember=REMEMBER, retry=OWED_RETRY, breaker=card_api
)
async def void(
    order: OrderPlaced,
    authorised: PaymentAuthorised | None,
    why: PaymentDeclined | StockRejected | ParcelRefused | OrderCancelled,
    tx: Tx[Cards],
) -> PaymentVoided | None:
    """Let go whatever the step's own key holds; silent where that is nothing, because it was taken or never held."""
    async with tx.outside(card_api) as key:
        answer = await tx.use.void(order.order_id, key=key, original=tx.step_key)
    if isinstance(answer, Refused):
        raise Reject(f"the card system refuses the void of order {order.order_id}: {answer.reason}")
    if not answer.cents:
        return None
    await storage.note_void(await tx.db(), order.order_id, answer.receipt_id)
    return PaymentVoided(
        order_id=order.order_id, void_id=answer.receipt_id, voided_cents=answer.cents, reason=why.reason
    )


@payments.handler(retry=OWED_RETRY, breaker=card_api)
async def capture(parcel: ParcelShipped, tx: Tx[Cards]) -> PaymentCaptured | None:
    """Take the money that is held; nothing where it is held no longer, because the order was cancelled meanwhile."""
    payment = await storage.find(await tx.read(), parcel.order_id)
    if payment is None:
        raise Reject(f"no money was held for order {parcel.order_id}: look whether payments runs on the right database")
    async with tx.outside(card_api) as key:
        answer = await tx.use.capture(parcel.order_id, payment.authorisation_id, payment.total_cents, key=key)
    match answer:
        case Captured(capture_id=capture_id):
            await storage.note_capture(await tx.db(), parcel.order_id, capture_id)
            return PaymentCaptured(order_id=parcel.order_id, capture_id=capture_id, total_cents=payment.total_cents)
        case Lapsed():
            return None
        case Refused(reason=reason):
            raise Reject(f"the card system refuses the capture of order {parcel.order_id}: {reason}")


@payments.undo(
    capture, PaymentCaptured, by="order_id", across=True, remember=REMEMBER, retry=OWED_RETRY, breaker=card_api
)
async def refund(
    parcel: ParcelShipped, captured: PaymentCaptured | None, why: OrderCancelled, tx: Tx[Cards]
) -> PaymentRefunded | None:
    """Give back whatever the capture's own key took, also when nobody knows whether it did; silent where it did not."""
    async with tx.outside(card_api) as key:
        answer = await tx.use.refund(parcel.order_id, key=key, original=tx.step_key)
    if isinstance(answer, Refused):
        raise Reject(f"the card system refuses the refund of order {parcel.order_id}: {answer.reason}")
    if not answer.cents:
        return None
    await storage.note_refund(await tx.db(), parcel.order_id, answer.receipt_id)
    return PaymentRefunded(
        order_id=parcel.order_id, refund_id=answer.receipt_id, refunded_cents=answer.cents, reason=why.reason
    )
