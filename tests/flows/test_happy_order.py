"""An order goes well: its money held, its goods taken, shipped, paid and delivered, and its customer reads so."""

from services.orders.events import OrderCancelled, OrderConfirmed, OrderPlaced
from services.payments.events import PaymentCaptured, PaymentRefunded, PaymentVoided
from services.sandbox.domain import Did, Target
from services.shipping.events import ParcelDelivered, ParcelRecalled, ParcelShipped
from services.shipping.http import deliver
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import SHIPPED, SOON, order, place, shop, state


async def test_an_order_is_delivered_and_paid() -> None:
    """One of each, in this order; nothing dead, nothing open, nothing later."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.quiet()
        assert [each.order_id for each in stage.said_of(OrderConfirmed)] == [order_id]
        assert [each.order_id for each in stage.said_of(ParcelShipped)] == [order_id]
        assert [each.total_cents for each in stage.said_of(PaymentCaptured)] == [999]
        assert await state(order_id) == "shipped"
        for _ in range(2):
            await deliver(order_id)
            await stage.quiet()
        assert [each.order_id for each in stage.said_of(ParcelDelivered)] == [order_id]
        assert await state(order_id) == "delivered"
        await stage.advance(SOON)
        for never in (OrderCancelled, PaymentVoided, PaymentRefunded, ParcelRecalled):
            assert not stage.said_of(never)
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.did(Target.CARDS) == [Did.AUTHORISED, Did.CAPTURED]
    assert outside.stands() == SHIPPED
    assert outside.did(Target.STOCK) == [Did.RESERVED]
    assert outside.did(Target.CARRIER) == [Did.BOOKED]
    assert outside.mailbox() == [("ada@example.com", "confirmation")]


async def test_a_post_repeated_is_one_order() -> None:
    """The same key again gives the same answer and places nothing."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        assert await place(order(), "key-1") == await place(order(), "key-1")
        await stage.quiet()
        assert await place(order(), "key-1") == await place(order(), "key-1")
        await stage.quiet()
        assert len(stage.said_of(OrderPlaced)) == len(stage.said_of(OrderConfirmed)) == 1
    assert outside.did(Target.CARDS) == [Did.AUTHORISED, Did.CAPTURED]
