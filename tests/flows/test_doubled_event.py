"""An event arrives twice: it works once."""

from collections.abc import Sequence

import pytest

from hocket import Heard
from services.inventory.events import PaymentAuthorised
from services.orders.events import OrderCancelled
from services.payments.events import OrderPlaced, ParcelShipped
from services.sandbox.domain import Did, Target
from services.shipping.events import OrderConfirmed
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import NOTHING, SHIPPED, SOON, order, place, shop

FLOW = "0198c5b8-0000-7000-8000-000000000001"
PLACED = OrderPlaced(order_id="A1", card="tok_1", sku="lamp", quantity=1, total_cents=999)
AUTHORISED = PaymentAuthorised(order_id="A1", sku="lamp", quantity=1)
CONFIRMED = OrderConfirmed(order_id="A1", sku="lamp", quantity=1)
SHIPPED_PARCEL = ParcelShipped(order_id="A1")


@pytest.mark.parametrize(
    ("events", "target", "did"),
    [
        ([PLACED], Target.CARDS, [Did.AUTHORISED]),
        ([AUTHORISED], Target.STOCK, [Did.RESERVED]),
        ([CONFIRMED], Target.CARRIER, [Did.BOOKED]),
        ([PLACED, SHIPPED_PARCEL], Target.CARDS, [Did.AUTHORISED, Did.CAPTURED]),
    ],
)
async def test_a_step_told_twice_acts_once(events: Sequence[Heard], target: Target, did: list[Did]) -> None:
    """RULES 2.2: one fact under two ids runs once, at the same moment and long after."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        for event in events:
            for _ in range(2):
                await stage.hear(event, subject="order/A1", key=f"k {event}", correlation_id=FLOW)
            await stage.quiet()
        await stage.advance(SOON)
        await stage.hear(events[-1], subject="order/A1", key=f"k {events[-1]}", correlation_id=FLOW)
        await stage.quiet()
        assert outside.did(target)[: len(did)] == did
        assert outside.did(target).count(did[-1]) == 1


async def test_a_cancellation_told_twice_gives_back_once() -> None:
    """RULES 5.4: two failures, also of two flows, order one undo."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, flow = await place(order(), "key-1")
        await stage.quiet()
        assert outside.stands() == SHIPPED
        cancelled = OrderCancelled(order_id=order_id, email="ada@example.com", reason="x", by="customer")
        for key, correlation_id in (("c", FLOW), ("c", FLOW), ("d", flow), ("e", None)):
            await stage.hear(cancelled, key=key, correlation_id=correlation_id)
        await stage.advance(SOON)
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.stands() == NOTHING
    assert outside.did(Target.CARDS).count(Did.REFUNDED) == 1
    assert outside.did(Target.STOCK).count(Did.RELEASED) == 1
    assert outside.did(Target.CARRIER).count(Did.RECALLED) == 1
