"""The shop system does not come back: that is a rejection, so a refund, and whatever was taken is given back."""

import pytest

from services.inventory.domain import NO_ANSWER
from services.inventory.handlers import RESERVE_RETRY
from services.orders.events import OrderCancelled
from services.orders.http import place
from services.sandbox.domain import Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, shop


async def test_a_shop_that_stays_down_ends_in_a_refund() -> None:
    """RULES 5.5: what on_dead says ends the flow, and the step's own undo is written with it."""
    outside = FakeOutside()
    outside.fault(Target.STOCK, Kind.DOWN, sku="lamp")
    async with shop(outside) as stage:
        await place(order(), "key-1")
        await stage.advance(LONG)
        assert [each.reason for each in stage.said_of(OrderCancelled)] == [NO_ANSWER]
        assert list(stage.dead) == ["inventory.reserve"]
        assert not list(stage.zombies)
    assert outside.did(Target.CARDS) == [Did.CHARGED, Did.REFUNDED]
    assert outside.did(Target.STOCK) == [Did.BLOCKED]
    assert outside.mailbox() == [("ada@example.com", "apology")]


@pytest.mark.parametrize("times", [1, 5])
async def test_a_shop_that_comes_back_loses_nothing(times: int) -> None:
    """Down for as many attempts as there are retries, or fewer: the order is confirmed."""
    outside = FakeOutside()
    outside.fault(Target.STOCK, Kind.DOWN, times=times)
    async with shop(outside) as stage:
        await place(order(), "key-1")
        await stage.advance(LONG)
        assert not list(stage.dead)
    assert outside.did(Target.STOCK) == [Did.RESERVED]
    assert outside.mailbox() == [("ada@example.com", "confirmation")]


async def test_goods_taken_by_a_reservation_nobody_heard_of_go_back() -> None:
    """Every answer is lost after the deed: the undo releases by the reservation's own key (RULES 5.4)."""
    outside = FakeOutside()
    outside.fault(Target.STOCK, Kind.TIMEOUT_AFTER, sku="lamp")
    async with shop(outside) as stage:
        await place(order(), "key-1")
        await stage.advance(LONG)
        assert not list(stage.zombies)
    assert outside.did(Target.STOCK) == [Did.RESERVED, *[Did.REPEATED] * RESERVE_RETRY.retries, Did.RELEASED]
    assert outside.did(Target.CARDS) == [Did.CHARGED, Did.REFUNDED]
