"""The order saga, with the declarations of the shop: authorise, reserve, ship, capture, their undos, one time-out.

Everything that is undone is undone `across`: the customer cancels in a flow of its own, at any moment.
"""

from datetime import timedelta

from hocket import Event, Service, Tx
from tests.graph.sagas.outside import ONCE, Outside, uses

REMEMBER = timedelta(days=30)


class OrderPlaced(Event, type="order.placed", subject="order/{order_id}"):
    order_id: str


class OrderConfirmed(Event, type="order.confirmed", subject="order/{order_id}"):
    order_id: str


class OrderCancelled(Event, type="order.cancelled", subject="order/{order_id}"):
    order_id: str
    by: str = "shop"


class PaymentAuthorised(Event, type="payment.authorised", subject="order/{order_id}"):
    order_id: str


class PaymentDeclined(Event, type="payment.declined", subject="order/{order_id}"):
    order_id: str


class PaymentVoided(Event, type="payment.voided", subject="order/{order_id}"):
    order_id: str


class PaymentCaptured(Event, type="payment.captured", subject="order/{order_id}"):
    order_id: str


class PaymentRefunded(Event, type="payment.refunded", subject="order/{order_id}"):
    order_id: str


class StockReserved(Event, type="stock.reserved", subject="order/{order_id}"):
    order_id: str


class StockRejected(Event, type="stock.rejected", subject="order/{order_id}"):
    order_id: str


class StockReleased(Event, type="stock.released", subject="order/{order_id}"):
    order_id: str


class ParcelShipped(Event, type="parcel.shipped", subject="order/{order_id}"):
    order_id: str


class ParcelRefused(Event, type="parcel.refused", subject="order/{order_id}"):
    order_id: str


class ParcelRecalled(Event, type="parcel.recalled", subject="order/{order_id}"):
    order_id: str


orders = Service("orders", owner="tests", uses=uses)
payments = Service("payments", owner="tests", uses=uses)
inventory = Service("inventory", owner="tests", uses=uses)
shipping = Service("shipping", owner="tests", uses=uses)

Failure = PaymentDeclined | StockRejected | ParcelRefused


@orders.handler(retry=ONCE)
async def confirm(stock: StockReserved, tx: Tx[Outside]) -> OrderConfirmed:
    return OrderConfirmed(order_id=stock.order_id)


@orders.handler(retry=ONCE)
async def cancel(why: Failure, tx: Tx[Outside]) -> OrderCancelled:
    return OrderCancelled(order_id=why.order_id)


@orders.overdue(
    timedelta(seconds=30),
    unless=(ParcelShipped, PaymentDeclined, StockRejected, ParcelRefused, OrderCancelled),
    by="order_id",
    across=True,
    retry=ONCE,
)
async def unshipped(order: OrderPlaced, tx: Tx[Outside]) -> OrderCancelled:
    return OrderCancelled(order_id=order.order_id, by="time-out")


@payments.handler(retry=ONCE)
async def authorise(order: OrderPlaced, tx: Tx[Outside]) -> PaymentAuthorised | PaymentDeclined:
    if await tx.use.act(tx, "authorise", order.order_id):
        return PaymentAuthorised(order_id=order.order_id)
    return PaymentDeclined(order_id=order.order_id)


@payments.undo(authorise, PaymentAuthorised, by="order_id", across=True, remember=REMEMBER, retry=ONCE)
async def void(
    order: OrderPlaced,
    did: PaymentAuthorised | None,
    why: StockRejected | ParcelRefused | OrderCancelled,
    tx: Tx[Outside],
) -> PaymentVoided:
    await tx.use.act(tx, "void", order.order_id)
    return PaymentVoided(order_id=order.order_id)


@payments.handler(retry=ONCE)
async def capture(parcel: ParcelShipped, tx: Tx[Outside]) -> PaymentCaptured | None:
    return PaymentCaptured(order_id=parcel.order_id) if await tx.use.act(tx, "capture", parcel.order_id) else None


@payments.undo(capture, PaymentCaptured, by="order_id", across=True, remember=REMEMBER, retry=ONCE)
async def refund(
    parcel: ParcelShipped, did: PaymentCaptured | None, why: OrderCancelled, tx: Tx[Outside]
) -> PaymentRefunded:
    await tx.use.act(tx, "refund", parcel.order_id)
    return PaymentRefunded(order_id=parcel.order_id)


@inventory.handler(retry=ONCE)
async def reserve(paid: PaymentAuthorised, tx: Tx[Outside]) -> StockReserved | StockRejected:
    if await tx.use.act(tx, "reserve", paid.order_id):
        return StockReserved(order_id=paid.order_id)
    return StockRejected(order_id=paid.order_id)


@inventory.undo(reserve, StockReserved, by="order_id", across=True, remember=REMEMBER, retry=ONCE)
async def release(
    paid: PaymentAuthorised, did: StockReserved | None, why: ParcelRefused | OrderCancelled, tx: Tx[Outside]
) -> StockReleased:
    await tx.use.act(tx, "release", paid.order_id)
    return StockReleased(order_id=paid.order_id)


@shipping.handler(retry=ONCE)
async def ship(order: OrderConfirmed, tx: Tx[Outside]) -> ParcelShipped | ParcelRefused:
    if await tx.use.act(tx, "ship", order.order_id):
        return ParcelShipped(order_id=order.order_id)
    return ParcelRefused(order_id=order.order_id)


@shipping.undo(ship, ParcelShipped, by="order_id", across=True, remember=REMEMBER, retry=ONCE)
async def recall(
    order: OrderConfirmed, did: ParcelShipped | None, why: OrderCancelled, tx: Tx[Outside]
) -> ParcelRecalled:
    await tx.use.act(tx, "recall", order.order_id)
    return ParcelRecalled(order_id=order.order_id)


SERVICES = (orders, payments, inventory, shipping)
