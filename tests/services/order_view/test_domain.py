"""What the facts make of an order and of a history."""

import itertools
import random

import pytest

from services.order_view import events as heard
from services.order_view.domain import (
    Customers,
    Line,
    Order,
    Payment,
    Shipping,
    State,
    Stock,
    folded,
    lead_line,
    order_line,
)
from services.order_view.events import OrderFact

CUSTOMERS = Customers(b"a key of sixteen bytes or more")
ADA = CUSTOMERS.id_of("ada@example.com")
PLACED = heard.OrderPlaced(order_id="A1", email="ada@example.com", sku="lamp", quantity=2, total_cents=1205)
AUTHORISED = heard.PaymentAuthorised(order_id="A1", total_cents=1205)
RESERVED = heard.StockReserved(order_id="A1")
CONFIRMED = heard.OrderConfirmed(order_id="A1")
SHIPPED = heard.ParcelShipped(order_id="A1", parcel_id="pa_1")
CAPTURED = heard.PaymentCaptured(order_id="A1", total_cents=1205)
DELIVERED = heard.ParcelDelivered(order_id="A1")
CANCELLED = heard.OrderCancelled(order_id="A1", reason="too dark", by="customer")
REFUNDED = heard.PaymentRefunded(order_id="A1", refunded_cents=1205)
RELEASED = heard.StockReleased(order_id="A1")
RECALLED = heard.ParcelRecalled(order_id="A1")
WELL: tuple[OrderFact, ...] = (PLACED, AUTHORISED, RESERVED, CONFIRMED, SHIPPED, CAPTURED, DELIVERED)
BACK: tuple[OrderFact, ...] = (CANCELLED, REFUNDED, RELEASED, RECALLED)


def seen(*facts: tuple[int, OrderFact]) -> Order:
    """An order after these facts, each said at its moment, in this order of arrival."""
    order = Order("A1")
    for moment, fact in facts:
        order = folded(order, fact, at=f"2026-01-01T00:00:{moment:02}.000000Z", flow="f-1", customers=CUSTOMERS)
    return order


def test_an_order_that_goes_well_ends_delivered_and_paid() -> None:
    """Each fact sets what it knows."""
    assert seen(*enumerate(WELL)) == Order(
        "A1", "2026-01-01T00:00:00.000000Z", ADA, "f-1", "lamp", 2, 1205, State.DELIVERED, Payment.CAPTURED,
        Stock.RESERVED, Shipping.DELIVERED, changed_at="2026-01-01T00:00:06.000000Z",
    )  # fmt: skip


@pytest.mark.parametrize("facts", [WELL[:5], (*WELL[:1], *BACK)], ids=["well", "cancelled"])
def test_any_order_of_arrival_makes_the_same(facts: tuple[OrderFact, ...]) -> None:
    """Facts of several services overtake each other: all orders, and each fact twice, give one result."""
    said = list(enumerate(facts))
    results = {seen(*arrival) for arrival in itertools.permutations(said)}
    assert results == {seen(*said)} == {seen(*said, *said)}


def test_a_return_in_any_order_of_arrival_is_a_return() -> None:
    """What was given back is never shown as held again, whichever fact comes last."""
    said = list(enumerate((*WELL, *BACK)))
    chance = random.Random(7)
    for _ in range(500):
        order = seen(*chance.sample(said, len(said)))
        assert (order.state, order.payment, order.stock) == (State.CANCELLED, Payment.REFUNDED, Stock.RELEASED)
        assert (order.shipping, order.reason, order.cancelled_by) == (Shipping.RECALLED, "too dark", "customer")


def test_a_failure_shows_where_it_came_from() -> None:
    """Declined, sold out, not carried: the part that refused, beside the order's own end."""
    declined = heard.PaymentDeclined(order_id="A1", reason="no money")
    assert seen((0, PLACED), (1, declined)).payment is Payment.DECLINED
    rejected = heard.StockRejected(order_id="A1", reason="none left")
    voided = heard.PaymentVoided(order_id="A1", voided_cents=1205)
    order = seen((0, PLACED), (1, AUTHORISED), (2, rejected), (3, voided))
    assert (order.state, order.payment, order.stock) == (State.PLACED, Payment.VOIDED, Stock.REJECTED)
    assert seen((0, heard.ParcelRefused(order_id="A1", reason="too big"))).shipping is Shipping.REFUSED


def test_a_customer_has_one_id_that_tells_nothing() -> None:
    """The same for spaces and capitals, another for another address and with another key; the address is not in it."""
    assert CUSTOMERS.id_of(" Ada@Example.com ") == ADA
    assert len({ADA, CUSTOMERS.id_of("bob@example.com"), Customers(b"another key").id_of("ada@example.com")}) == 3
    assert "ada" not in ADA


def test_a_line_tells_in_words() -> None:
    """What happened, when, in which flow; a lead's line is found by the customer, an order's by the order."""
    assert order_line(PLACED, at="T", flow="f") == Line(
        "order/A1 order.placed T", "T", "order.placed", "ordered 2 of lamp for 12.05", "f", order_id="A1"
    )
    lead = heard.LeadCaptured(email="ada@example.com", campaign="", source="shop", delivery="d-1")
    assert lead_line(lead, at="T", flow="f", customers=CUSTOMERS) == Line(
        f"lead/{ADA} lead.captured T d-1", "T", "lead.captured", "showed interest in the shop, told by shop", "f",
        customer_id=ADA, delivery="d-1",
    )  # fmt: skip


@pytest.mark.parametrize("fact", [*WELL, *BACK], ids=lambda fact: type(fact).__name__)
def test_every_fact_has_the_type_of_its_event(fact: OrderFact) -> None:
    """The history names events as the consoles do."""
    assert order_line(fact, at="T", flow="f").type == type(fact).__hocket_type__
