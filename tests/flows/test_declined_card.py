"""A card will not pay: the order is cancelled, and nothing is left to undo."""

from services.orders.events import OrderCancelled, OrderConfirmed
from services.payments.events import PaymentVoided
from services.sandbox.domain import Did, Target
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import SOON, order, place, shop


async def test_a_declined_card_cancels_the_order() -> None:
    """RULES 5.2: a declined card leaves a void step, so nothing is asked back."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        await place(order(card="declined-7"), "key-1")
        await stage.advance(SOON)
        assert [each.reason for each in stage.said_of(OrderCancelled)] == ["the card was declined"]
        assert not stage.said_of(OrderConfirmed)
        assert not stage.said_of(PaymentVoided)
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.did(Target.CARDS) == [Did.DECLINED]
    assert outside.did(Target.STOCK) == []
    assert outside.mailbox() == [("ada@example.com", "apology")]
