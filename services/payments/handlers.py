"""Charge an order's card; give the money back when the order fails."""

from datetime import timedelta

from hocket import Death, Reject, Retry, Tx
from services.payments import storage
from services.payments.domain import NO_ANSWER, Charged, Declined, Refused
from services.payments.events import OrderPlaced, PaymentCharged, PaymentDeclined, PaymentRefunded, StockRejected
from services.payments.service import Cards, card_api, payments

CHARGE_RETRY = Retry(retries=5, first=timedelta(seconds=0.5), longest=timedelta(seconds=10))
#: Money that must go back is asked back for long before a person has to look.
REFUND_RETRY = Retry(retries=20, first=timedelta(seconds=0.5), longest=timedelta(seconds=30))


@payments.handler(retry=CHARGE_RETRY, breaker=card_api)
async def charge(order: OrderPlaced, tx: Tx[Cards]) -> PaymentCharged | PaymentDeclined:
    """Charge the card, outside, under a key that stays the same however often it is asked."""
    async with tx.outside(card_api) as key:
        answer = await tx.use.charge(order.order_id, order.card, order.total_cents, key=key)
    match answer:
        case Charged(charge_id=charge_id):
            await storage.note_charge(await tx.db(), order.order_id, charge_id, order.total_cents)
            return PaymentCharged(
                order_id=order.order_id,
                charge_id=charge_id,
                sku=order.sku,
                quantity=order.quantity,
                total_cents=order.total_cents,
            )
        case Declined(reason=reason):
            return PaymentDeclined(order_id=order.order_id, reason=reason)
        case Refused(reason=reason):
            raise Reject(f"the card system refuses the charge of order {order.order_id}: {reason}")


@payments.on_dead(charge)
def charge_gave_up(order: OrderPlaced, death: Death) -> PaymentDeclined:
    """A charge that was given up may have happened: say declined, and the undo gives back what there is."""
    return PaymentDeclined(order_id=order.order_id, reason=NO_ANSWER)


@payments.undo(charge, PaymentCharged, by="order_id", retry=REFUND_RETRY, breaker=card_api)
async def refund(
    order: OrderPlaced, charged: PaymentCharged | None, why: StockRejected | PaymentDeclined, tx: Tx[Cards]
) -> PaymentRefunded | None:
    """Give back whatever the charge's own key took, also when nobody knows whether it did; silent where it did not."""
    async with tx.outside(card_api) as key:
        answer = await tx.use.refund(order.order_id, key=key, original=tx.step_key)
    if isinstance(answer, Refused):
        raise Reject(f"the card system refuses the refund of order {order.order_id}: {answer.reason}")
    if not answer.cents:
        return None
    await storage.note_refund(await tx.db(), order.order_id, answer.refund_id)
    return PaymentRefunded(
        order_id=order.order_id, refund_id=answer.refund_id, refunded_cents=answer.cents, reason=why.reason
    )
