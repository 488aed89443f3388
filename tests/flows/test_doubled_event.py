"""An event arrives twice: it works once."""

from services.payments.events import OrderPlaced, PaymentCharged
from services.sandbox.domain import Did, Target
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, shop

PLACED = OrderPlaced(order_id="A1", card="tok_1", sku="lamp", quantity=1, total_cents=999)


async def test_an_order_told_twice_is_charged_once() -> None:
    """RULES 2.2: one fact under two ids runs once, at the same moment and long after."""
    outside = FakeOutside()
    flow = "0198c5b8-0000-7000-8000-000000000001"
    async with shop(outside) as stage:
        for _ in range(2):
            await stage.hear(PLACED, subject="order/A1", key="k1", correlation_id=flow)
        await stage.quiet()
        assert len(stage.said_of(PaymentCharged)) == 1
        await stage.advance(LONG)
        await stage.hear(PLACED, subject="order/A1", key="k1", correlation_id=flow)
        await stage.quiet()
        assert len(stage.said_of(PaymentCharged)) == 1
    assert outside.did(Target.CARDS) == [Did.CHARGED]
