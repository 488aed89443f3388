"""A card will not pay: the order is cancelled, and nothing is left to undo."""

from services.orders.events import OrderCancelled, OrderConfirmed
from services.orders.http import place
from services.payments.events import PaymentRefunded
from services.sandbox.domain import Did, Target
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, shop


async def test_a_declined_card_cancels_the_order() -> None:
    """RULES 5.2: a declined card leaves a void step, so no refund is asked for."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        await place(order(card="declined-7"), "key-1")
        await stage.advance(LONG)
        assert [each.reason for each in stage.said_of(OrderCancelled)] == ["the card was declined"]
        assert not stage.said_of(OrderConfirmed)
        assert not stage.said_of(PaymentRefunded)
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.did(Target.CARDS) == [Did.DECLINED]
    assert outside.did(Target.STOCK) == []
    assert outside.mailbox() == [("ada@example.com", "apology")]
