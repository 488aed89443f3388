"""The goods cannot be had: the money is held no longer."""

from services.orders.events import OrderCancelled
from services.payments.events import PaymentVoided
from services.sandbox.domain import Api, Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import SOON, order, place, shop, state


async def test_without_stock_the_money_goes_back() -> None:
    """Held once, voided once, one apology; nothing is released, since nothing was taken."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(sku="sold-out-lamp"), "key-1")
        await stage.advance(SOON)
        assert [(each.reason, each.by) for each in stage.said_of(OrderCancelled)] == [("no stock", "shop")]
        assert [(each.order_id, each.voided_cents) for each in stage.said_of(PaymentVoided)] == [(order_id, 999)]
        assert await state(order_id) == "cancelled"
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.did(Target.CARDS) == [Did.AUTHORISED, Did.VOIDED]
    assert outside.did(Target.STOCK) == [Did.REJECTED]
    assert outside.mailbox() == [("ada@example.com", "apology")]


async def test_a_void_that_times_out_is_done_once() -> None:
    """It is asked for again under the same key: the money goes back once."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        outside.fault(Target.CARDS, Kind.TIMEOUT_AFTER, api=Api.VOIDS, times=2)
        await place(order(sku="sold-out-lamp"), "key-1")
        await stage.advance(SOON)
        assert not list(stage.zombies)
        assert len(stage.said_of(PaymentVoided)) == 1
    assert outside.did(Target.CARDS) == [Did.AUTHORISED, Did.VOIDED, Did.REPEATED, Did.REPEATED]
