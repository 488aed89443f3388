"""An order goes well: charged, reserved, confirmed, and its customer reads so."""

from services.orders.events import OrderCancelled, OrderConfirmed, OrderPlaced
from services.orders.http import place
from services.payments.events import PaymentRefunded
from services.sandbox.domain import Did, Target
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, shop


async def test_an_order_is_confirmed() -> None:
    """One charge, one reservation, one confirmation; nothing dead, nothing open, nothing later."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.quiet()
        assert [each.order_id for each in stage.said_of(OrderConfirmed)] == [order_id]
        await stage.advance(LONG)
        assert not stage.said_of(OrderCancelled)
        assert not stage.said_of(PaymentRefunded)
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.did(Target.CARDS) == [Did.CHARGED]
    assert outside.did(Target.STOCK) == [Did.RESERVED]
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
    assert outside.did(Target.CARDS) == [Did.CHARGED]
