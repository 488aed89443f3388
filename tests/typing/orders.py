"""A small order service: events said outside handlers, a tuple with a scheduled event, HTTP routes."""

from datetime import timedelta

from aiohttp import web
from sqlalchemy import Column, MetaData, String, Table

from hocket import Defer, Event, Heard, Scheduled, Service, Tx

tables = MetaData()
orders_table = Table("orders", tables, Column("id", String, primary_key=True), Column("state", String))
orders = Service("orders", owner="team-shop", tables=tables)


class OrderPlaced(Event, type="order.placed", version=2, subject="order/{order_id}"):
    """An order was placed."""

    order_id: str
    total_cents: int


class OrderConfirmed(Event, type="order.confirmed", subject="order/{order_id}"):
    """An order was confirmed."""

    order_id: str


class OrderCancelled(Event, type="order.cancelled", subject="order/{order_id}"):
    """An order was cancelled."""

    order_id: str
    reason: str


class ReviewAsked(Event, type="order.review_asked", subject="order/{order_id}"):
    """The customer was asked for a review."""

    order_id: str


class PaymentCharged(Heard, type="payment.charged"):
    """The payment was made."""

    order_id: str


class PaymentDeclined(Heard, type="payment.declined"):
    """The payment failed."""

    order_id: str
    reason: str


class StockRejected(Heard, type="stock.rejected"):
    """The goods are sold out."""

    order_id: str


class OrderPlacedV1(Event, type="order.placed", subject="order/{order_id}"):
    """An order was placed: the first version."""

    order_id: str


orders.says(OrderPlaced)


@orders.also_says
def as_v1(new: OrderPlaced) -> OrderPlacedV1:
    """Make the first version, for subscriptions that read it."""
    return OrderPlacedV1(order_id=new.order_id)


async def place(order_id: str, cents: int) -> str:
    """Place an order once for each key; returns its flow."""
    async with orders.tx(key=order_id) as tx:
        if not tx.seen:
            db = await tx.db()
            await db.execute(orders_table.insert().values(id=order_id, state="placed"))
            tx.say(OrderPlaced(order_id=order_id, total_cents=cents))
    return tx.correlation_id


@orders.handler(timeout=timedelta(seconds=5))
async def confirm(paid: PaymentCharged, tx: Tx) -> tuple[OrderConfirmed, Scheduled[ReviewAsked]] | None:
    """Confirm, and ask for a review a week later."""
    if not paid.order_id:
        return None
    if tx.attempt == 1:
        raise Defer(timedelta(seconds=1))
    review = Scheduled(ReviewAsked(order_id=paid.order_id), after=timedelta(days=7), key=paid.order_id)
    return OrderConfirmed(order_id=paid.order_id), review


@orders.handler(name="cancel")
async def cancel_order(event: PaymentDeclined | StockRejected, tx: Tx) -> OrderCancelled:
    """Hear two events on one queue."""
    await tx.cancel(ReviewAsked, key=event.order_id)
    match event:
        case PaymentDeclined(reason=reason):
            return OrderCancelled(order_id=event.order_id, reason=reason)
        case StockRejected():
            return OrderCancelled(order_id=event.order_id, reason="no stock")


async def post(request: web.Request) -> web.Response:
    """`POST /orders`."""
    return web.json_response({"flow": await place((await request.json())["order_id"], 100)}, status=202)


@orders.http
def mount(app: web.Application) -> None:
    """The routes of this service."""
    app.router.add_post("/orders", post)
