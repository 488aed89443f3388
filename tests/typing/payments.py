"""A small payment service: a step with an outside call, its undo, and its `on_dead`."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic_settings import BaseSettings

from hocket import Breaker, Death, Event, Heard, Reject, Retry, Sensitive, Service, Tx


class Settings(BaseSettings):
    """Settings of the card client."""

    cards_url: str = "http://127.0.0.1:8009"


class CardDeclined(Exception):
    """The card was declined."""


@dataclass(frozen=True)
class Cards:
    """The client of the card system."""

    url: str

    async def charge(self, order_id: str, cents: int, *, key: str) -> str:
        """Charge the card; returns the id of the charge."""
        if cents > 100_000:
            raise CardDeclined
        return f"{order_id}@{self.url}/{key}"

    async def refund(self, charge_id: str | None, *, key: str, original: str) -> None:
        """Undo the charge made under the key `original`."""


@dataclass(frozen=True)
class Uses:
    """The clients of the service."""

    cards: Cards


@asynccontextmanager
async def uses(settings: Settings) -> AsyncGenerator[Uses, None]:
    """Yields the clients while the service runs."""
    yield Uses(Cards(settings.cards_url))


payments = Service("payments", owner="team-money", settings=Settings, uses=uses)
card_api = Breaker("card-api", failures=(ConnectionError, TimeoutError))


class OrderPlaced(Heard, type="order.placed", version=2):
    """The fields of a placed order that payments reads."""

    order_id: str
    total_cents: int
    card_token: Sensitive[str] = ""


class OrderPlacedV1(Heard, type="order.placed"):
    """The first version of it."""

    order_id: str
    total: float


@payments.upcast
def order_placed_1_to_2(old: OrderPlacedV1) -> OrderPlaced:
    """The first version had no cents."""
    return OrderPlaced(order_id=old.order_id, total_cents=round(old.total * 100))


class StockRejected(Heard, type="stock.rejected"):
    """A failure."""

    order_id: str


class OrderCancelled(Heard, type="order.cancelled"):
    """A failure."""

    order_id: str


class PaymentCharged(Event, type="payment.charged", subject="order/{order_id}"):
    """The card was charged."""

    order_id: str
    charge_id: str


class PaymentDeclined(Event, type="payment.declined", subject="order/{order_id}"):
    """The card was not charged."""

    order_id: str
    reason: str


class PaymentRefunded(Event, type="payment.refunded", subject="order/{order_id}"):
    """The charge was undone."""

    order_id: str


@payments.handler(retry=Retry(retries=5), breaker=card_api)
async def charge(order: OrderPlaced, tx: Tx[Uses]) -> PaymentCharged | PaymentDeclined:
    """Charge the card in an outside call."""
    if order.total_cents <= 0:
        raise Reject("an order of nothing")
    try:
        async with tx.outside(card_api) as key:
            charge_id = await tx.use.cards.charge(order.order_id, order.total_cents, key=key)
    except CardDeclined:
        return PaymentDeclined(order_id=order.order_id, reason="declined")
    return PaymentCharged(order_id=order.order_id, charge_id=charge_id)


@payments.on_dead(charge)
def charge_gave_up(order: OrderPlaced, death: Death) -> PaymentDeclined:
    """Say that the payment was declined."""
    return PaymentDeclined(order_id=order.order_id, reason=death.cause)


@payments.undo(charge, PaymentCharged, by="order_id", breaker=card_api)
async def refund(
    order: OrderPlaced,
    charged: PaymentCharged | None,
    why: StockRejected | OrderCancelled | PaymentDeclined,
    tx: Tx[Uses],
) -> PaymentRefunded:
    """Refund what was charged, or may have been."""
    async with tx.outside(card_api) as key:
        await tx.use.cards.refund(charged.charge_id if charged else None, key=key, original=tx.step_key)
    return PaymentRefunded(order_id=why.order_id)


@payments.handler
async def score(order: OrderPlaced, tx: Tx[Uses]) -> None:
    """A second handler of the same event, with its own queue."""
    await tx.db()
