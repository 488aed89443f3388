"""No carrier takes the goods: they go back into stock, and the money is held no longer."""

from services.orders.events import OrderCancelled
from services.payments.events import PaymentVoided
from services.sandbox.domain import Did, Target
from services.shipping.domain import NOT_CARRIED
from services.shipping.events import ParcelRecalled
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import NOTHING, SOON, order, place, shop


async def test_goods_that_nobody_carries_go_back() -> None:
    """Two steps before it are undone; shipping itself has nothing to call back, and nothing is ever captured."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        await place(order(sku="too-big-sofa"), "key-1")
        await stage.advance(SOON)
        assert [each.reason for each in stage.said_of(OrderCancelled)] == [NOT_CARRIED]
        assert len(stage.said_of(PaymentVoided)) == 1
        assert not stage.said_of(ParcelRecalled)
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.stands() == NOTHING
    assert outside.did(Target.CARRIER) == [Did.REJECTED]
    assert outside.did(Target.CARDS) == [Did.AUTHORISED, Did.VOIDED]
    assert outside.did(Target.STOCK) == [Did.RESERVED, Did.RELEASED]
    assert outside.mailbox() == [("ada@example.com", "confirmation"), ("ada@example.com", "apology")]
