"""The goods cannot be had: the money goes back."""

from services.orders.events import OrderCancelled
from services.orders.http import place
from services.payments.events import PaymentRefunded
from services.sandbox.domain import Api, Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, shop


async def test_without_stock_the_money_goes_back() -> None:
    """One charge, one refund, one apology; nothing is released, since nothing was taken."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(sku="sold-out-lamp"), "key-1")
        await stage.advance(LONG)
        assert [each.reason for each in stage.said_of(OrderCancelled)] == ["no stock"]
        assert [(each.order_id, each.refunded_cents) for each in stage.said_of(PaymentRefunded)] == [(order_id, 999)]
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.did(Target.CARDS) == [Did.CHARGED, Did.REFUNDED]
    assert outside.did(Target.STOCK) == [Did.REJECTED]
    assert outside.mailbox() == [("ada@example.com", "apology")]


async def test_a_refund_that_times_out_is_done_once() -> None:
    """The refund is asked for again under the same key: the money goes back once."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        outside.fault(Target.CARDS, Kind.TIMEOUT_AFTER, api=Api.REFUNDS, times=2)
        await place(order(sku="sold-out-lamp"), "key-1")
        await stage.advance(LONG)
        assert not list(stage.zombies)
        assert len(stage.said_of(PaymentRefunded)) == 1
    assert outside.did(Target.CARDS) == [Did.CHARGED, Did.REFUNDED, Did.REPEATED, Did.REPEATED]
