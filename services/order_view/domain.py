"""What the facts make of an order and of a customer's history. Pure.

A fact sets what it knows, and a state is left for a later one alone: the same facts give the same order in whatever
order they arrive, and twice what they give once.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeVar

from services.order_view import events as heard
from services.order_view.events import GoodsFact, LeadFact, OrderFact

#: Bytes of the keyed hash that is a customer's id: two customers with one id do not happen.
CUSTOMER_BYTES = 15
CENTS = 100


class State(StrEnum):
    """Where an order stands; a later one of this list is never left for an earlier one."""

    PLACED = "placed"
    CONFIRMED = "confirmed"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    CANCELLED = "cancelled"


class Payment(StrEnum):
    """Where its money is; likewise."""

    PENDING = "pending"
    AUTHORISED = "authorised"
    DECLINED = "declined"
    CAPTURED = "captured"
    VOIDED = "voided"
    REFUNDED = "refunded"


class Stock(StrEnum):
    """Where its goods are; likewise."""

    PENDING = "pending"
    RESERVED = "reserved"
    REJECTED = "rejected"
    RELEASED = "released"


class Shipping(StrEnum):
    """Where its parcel is; likewise."""

    PENDING = "pending"
    SHIPPED = "shipped"
    DELIVERED = "delivered"
    REFUSED = "refused"
    RECALLED = "recalled"


S = TypeVar("S", State, Payment, Stock, Shipping)

#: What a fact moves.
STATES: Mapping[type[OrderFact], State] = {
    heard.ParcelShipped: State.SHIPPED,
    heard.ParcelDelivered: State.DELIVERED,
}
PAYMENTS: Mapping[type[OrderFact], Payment] = {
    heard.PaymentAuthorised: Payment.AUTHORISED,
    heard.PaymentDeclined: Payment.DECLINED,
    heard.PaymentCaptured: Payment.CAPTURED,
    heard.PaymentVoided: Payment.VOIDED,
    heard.PaymentRefunded: Payment.REFUNDED,
}
STOCKS: Mapping[type[OrderFact], Stock] = {
    heard.StockReserved: Stock.RESERVED,
    heard.StockRejected: Stock.REJECTED,
    heard.StockReleased: Stock.RELEASED,
}
SHIPPINGS: Mapping[type[OrderFact], Shipping] = {
    heard.ParcelShipped: Shipping.SHIPPED,
    heard.ParcelRefused: Shipping.REFUSED,
    heard.ParcelRecalled: Shipping.RECALLED,
    heard.ParcelDelivered: Shipping.DELIVERED,
}


@dataclass(frozen=True, slots=True)
class Order:
    """One order as far as it has been heard of; `placed_at` is empty until that it was placed is known."""

    order_id: str
    placed_at: str = ""  # RFC 3339, UTC
    customer_id: str = ""
    flow: str = ""
    sku: str = ""
    quantity: int = 0
    total_cents: int = 0
    state: State = State.PLACED
    payment: Payment = Payment.PENDING
    stock: Stock = Stock.PENDING
    shipping: Shipping = Shipping.PENDING
    reason: str = ""  # why it was cancelled, and by whom; empty while it is not
    cancelled_by: str = ""
    changed_at: str = ""  # when the newest fact about it was said


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a customer's history: of an order it is found by the order, else by the customer."""

    key: str  # the same whenever it is made from the same fact
    at: str  # when the fact was said; RFC 3339, UTC
    type: str  # of the event
    text: str
    flow: str
    order_id: str = ""
    customer_id: str = ""
    delivery: str = ""


@dataclass(frozen=True, slots=True)
class Customers:
    """Gives customers their ids: without the key nobody finds an address by one."""

    key: bytes

    def id_of(self, email: str) -> str:
        """The id under which a customer is asked for; spaces around an address and capitals in it make no other."""
        hashed = hashlib.blake2b(email.strip().casefold().encode(), digest_size=CUSTOMER_BYTES, key=self.key)
        return base64.b32encode(hashed.digest()).decode().lower()


def rfc3339(moment: datetime) -> str:
    """A moment as it is kept and compared: in UTC, with all its digits."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def folded(order: Order, fact: OrderFact, *, at: str, flow: str, customers: Customers) -> Order:
    """The order after one more fact."""
    order = replace(order, changed_at=max(order.changed_at, at))
    match fact:
        case heard.OrderPlaced():
            return replace(
                order,
                placed_at=at,
                customer_id=customers.id_of(fact.email),
                flow=flow,
                sku=fact.sku,
                quantity=fact.quantity,
                total_cents=fact.total_cents,
            )
        case heard.OrderConfirmed():
            return replace(order, state=_later(order.state, State.CONFIRMED))
        case heard.OrderCancelled():
            return replace(order, state=State.CANCELLED, reason=fact.reason, cancelled_by=fact.by)
        case heard.PaymentAuthorised() | heard.PaymentDeclined() | heard.PaymentCaptured():
            return replace(order, payment=_later(order.payment, PAYMENTS[type(fact)]))
        case heard.PaymentVoided() | heard.PaymentRefunded():
            return replace(order, payment=_later(order.payment, PAYMENTS[type(fact)]))
        case heard.StockReserved() | heard.StockRejected() | heard.StockReleased():
            return replace(order, stock=_later(order.stock, STOCKS[type(fact)]))
        case heard.ParcelShipped() | heard.ParcelRefused() | heard.ParcelRecalled() | heard.ParcelDelivered():
            state = STATES.get(type(fact), order.state)
            shipping = _later(order.shipping, SHIPPINGS[type(fact)])
            return replace(order, state=_later(order.state, state), shipping=shipping)


def _later(one: S, other: S) -> S:
    every = list(type(one))
    return max(one, other, key=every.index)


def order_line(fact: OrderFact, *, at: str, flow: str) -> Line:
    """What a fact about an order adds to its customer's history."""
    kind, text = _told(fact)
    return Line(f"order/{fact.order_id} {kind} {at}", at, kind, text, flow, order_id=fact.order_id)


def lead_line(fact: LeadFact, *, at: str, flow: str, customers: Customers) -> Line:
    """What a fact about a lead adds to the history of whoever it is about."""
    customer_id = customers.id_of(fact.email)
    kind, text = _told_of_lead(fact)
    key = f"lead/{customer_id} {kind} {at} {fact.delivery}"
    return Line(key, at, kind, text, flow, customer_id=customer_id, delivery=fact.delivery)


def _told_of_lead(fact: LeadFact) -> tuple[str, str]:
    match fact:
        case heard.LeadCaptured():
            return "lead.captured", f"showed interest in {fact.campaign or 'the shop'}, told by {fact.source}"
        case heard.LeadScored():
            return "lead.scored", f"scored {fact.points} points: {fact.grade}"


def _told(fact: OrderFact) -> tuple[str, str]:
    """The type of a fact about an order, and the words for it."""
    match fact:
        case heard.OrderPlaced():
            return "order.placed", f"ordered {fact.quantity} of {fact.sku} for {_money(fact.total_cents)}"
        case heard.OrderConfirmed():
            return "order.confirmed", "the order is confirmed"
        case heard.OrderCancelled():
            return "order.cancelled", f"the order is cancelled by the {fact.by}: {fact.reason}"
        case heard.PaymentAuthorised():
            return "payment.authorised", f"{_money(fact.total_cents)} is held"
        case heard.PaymentDeclined():
            return "payment.declined", f"the payment is declined: {fact.reason}"
        case heard.PaymentCaptured():
            return "payment.captured", f"{_money(fact.total_cents)} is paid"
        case heard.PaymentVoided():
            return "payment.voided", f"{_money(fact.voided_cents)} is held no longer"
        case heard.PaymentRefunded():
            return "payment.refunded", f"{_money(fact.refunded_cents)} is refunded"
        case _:
            return _told_of_goods(fact)


def _told_of_goods(fact: GoodsFact) -> tuple[str, str]:
    match fact:
        case heard.StockReserved():
            return "stock.reserved", "the goods are reserved"
        case heard.StockRejected():
            return "stock.rejected", f"the goods cannot be had: {fact.reason}"
        case heard.StockReleased():
            return "stock.released", "the goods are back in stock"
        case heard.ParcelShipped():
            return "parcel.shipped", f"parcel {fact.parcel_id} is on its way"
        case heard.ParcelRefused():
            return "parcel.refused", f"no parcel goes out: {fact.reason}"
        case heard.ParcelRecalled():
            return "parcel.recalled", "the parcel is called back"
        case heard.ParcelDelivered():
            return "parcel.delivered", "the parcel has arrived"


def _money(cents: int) -> str:
    return f"{cents // CENTS}.{cents % CENTS:02}"
