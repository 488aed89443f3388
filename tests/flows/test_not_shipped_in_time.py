"""Something that an order needs is away: its breaker waits, and the time-out cancels what was not shipped in time."""

from datetime import timedelta

import pytest

from services.inventory.handlers import RESERVE_RETRY
from services.orders.events import OrderCancelled
from services.orders.handlers import SHIPPED_WITHIN, TOO_LATE
from services.sandbox.domain import Target
from services.sandbox.faults import Kind
from services.shipping.handlers import SHIP_RETRY
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import NOTHING, SHIPPED, SOON, order, place, shop, state

SYSTEMS = [Target.CARDS, Target.STOCK, Target.CARRIER]


@pytest.mark.parametrize("target", SYSTEMS)
@pytest.mark.parametrize("kind", [Kind.DOWN, Kind.TIMEOUT_AFTER])
async def test_an_order_that_is_not_shipped_in_time_is_cancelled(target: Target, kind: Kind) -> None:
    """RULES 5.7, 6.1: no attempt is used up, so no letter; when the system is back all that was done is given back."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        fault = outside.fault(target, kind)
        placed = [(await place(order(email=f"c{n}@example.com"), f"key-{n}"))[0] for n in range(5)]
        await stage.advance(SHIPPED_WITHIN - timedelta(seconds=2))
        assert not stage.said_of(OrderCancelled)
        assert len(stage.timers) == 5
        await stage.advance(timedelta(minutes=2))
        cancelled = stage.said_of(OrderCancelled)
        assert sorted(each.order_id for each in cancelled) == sorted(placed)
        assert {(each.reason, each.by) for each in cancelled} == {(TOO_LATE, "shop")}
        outside.faults.remove(fault)
        await stage.advance(SOON)
        assert len(stage.said_of(OrderCancelled)) == 5
        assert {await state(order_id) for order_id in placed} == {"cancelled"}
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.stands() == NOTHING
    apologies = [to for to, kind in outside.mailbox() if kind == "apology"]
    assert sorted(map(str, apologies)) == [f"c{n}@example.com" for n in range(5)]


@pytest.mark.parametrize("target", SYSTEMS)
async def test_a_system_that_is_back_in_time_loses_nothing(target: Target) -> None:
    """An order that waited at a breaker is shipped, and its time-out has nothing to say."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        fault = outside.fault(target, Kind.DOWN)
        order_id, _ = await place(order(), "key-1")
        await stage.advance(timedelta(seconds=8))
        outside.faults.remove(fault)
        await stage.advance(SOON)
        assert await state(order_id) == "shipped"
        assert not stage.said_of(OrderCancelled)
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.stands() == SHIPPED


@pytest.mark.parametrize(
    ("target", "retries"), [(Target.STOCK, RESERVE_RETRY.retries), (Target.CARRIER, SHIP_RETRY.retries)]
)
async def test_a_few_failures_are_tried_again(target: Target, retries: int) -> None:
    """As many as there are retries, and the order is shipped."""
    outside = FakeOutside()
    outside.fault(target, Kind.DOWN, times=retries)
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.advance(SOON)
        assert await state(order_id) == "shipped"
        assert not list(stage.dead)
    assert outside.stands() == SHIPPED
