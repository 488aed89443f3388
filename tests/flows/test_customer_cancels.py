"""A customer cancels, in a flow of its own, at any moment: whatever was done for the order is given back."""

import asyncio
from datetime import timedelta

import pytest

from hocket.testing import Play
from services.orders.events import OrderCancelled
from services.payments.events import PaymentCaptured, PaymentRefunded, PaymentVoided
from services.sandbox.domain import Api
from services.sandbox.faults import Kind
from services.shipping.events import ParcelRecalled
from services.shipping.http import deliver
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import NOTHING, SHIPPED, SOON, cancel, order, place, shop, state

#: Turns of the loop that a whole order takes, and some more.
TURNS = 48
REASON = "it is too dark"


async def _is_cancelled(stage: Play, outside: FakeOutside, order_id: str, *, posts: int = 1) -> None:
    """The customer cancels so often; in the end nothing stands, and nobody has to look."""
    answers = [await cancel(order_id, REASON) for _ in range(posts)]
    flows = {each.cancelled_in for each in answers if each}
    await stage.advance(SOON)
    assert len(flows) == 1
    [said] = stage.said_of(OrderCancelled)
    assert (said.order_id, said.reason, said.by) == (order_id, REASON, "customer")
    assert await state(order_id) == "cancelled"
    assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.stands() == NOTHING
    assert ("ada@example.com", "cancellation") in outside.mailbox()


@pytest.mark.parametrize("api", [Api.AUTHORISATIONS, Api.RESERVATIONS, Api.PARCELS, Api.CAPTURES])
@pytest.mark.parametrize("kind", [Kind.DOWN, Kind.TIMEOUT_AFTER])
async def test_while_a_step_is_under_way(api: Api, kind: Kind) -> None:
    """RULES 5.3: the step has begun and is tried again: it runs to its end and is undone then, whatever it did."""
    outside = FakeOutside()
    outside.fault(api.target, kind, api=api, times=2)
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.quiet()
        assert api in {line.asked.api for line in outside.lines}
        await _is_cancelled(stage, outside, order_id)


@pytest.mark.parametrize("api", [Api.AUTHORISATIONS, Api.RESERVATIONS, Api.PARCELS, Api.CAPTURES])
async def test_while_a_system_is_away(api: Api) -> None:
    """RULES 5.3, 6.1: its breaker is open and undoes nothing either, until it is back."""
    outside = FakeOutside()
    fault = outside.fault(api.target, Kind.DOWN, api=api)
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.advance(timedelta(seconds=20))
        await cancel(order_id, REASON)
        await stage.advance(timedelta(minutes=1))
        outside.faults.remove(fault)
        await _is_cancelled(stage, outside, order_id)


async def test_at_the_moment_of_placing_it() -> None:
    """The cancellation overtakes whatever has not begun: no step runs, or it is undone."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await _is_cancelled(stage, outside, order_id)
        assert not stage.said_of(PaymentCaptured)


async def test_its_time_out_waits_no_longer() -> None:
    """RULES 5.7: with across=True an answer of another flow meets it."""
    outside = FakeOutside()
    outside.fault(Api.PARCELS.target, Kind.DOWN)
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.quiet()
        assert list(stage.timers) == [f'orders.unshipped ["{order_id}"]']
        await cancel(order_id, REASON)
        await stage.quiet()
        assert list(stage.timers) == []


@pytest.mark.parametrize("posts", [1, 3])
async def test_when_it_is_shipped_and_paid(posts: int) -> None:
    """The parcel is called back, the goods go into stock, the money comes back; a doubled post changes nothing."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, flow = await place(order(), "key-1")
        await stage.quiet()
        assert outside.stands() == SHIPPED
        await _is_cancelled(stage, outside, order_id, posts=posts)
        assert [(each.refunded_cents, each.reason) for each in stage.said_of(PaymentRefunded)] == [(999, REASON)]
        assert len(stage.said_of(ParcelRecalled)) == 1
        assert not stage.said_of(PaymentVoided)
        cancelled = await cancel(order_id, REASON)
        assert cancelled is not None
        assert cancelled.cancelled_in != flow


async def test_long_after_it_was_delivered() -> None:
    """RULES 5.1, 5.4: a return: the steps of a flow that ended long ago are reached, and undone in that flow."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, flow = await place(order(), "key-1")
        await stage.quiet()
        await deliver(order_id)
        await stage.advance(timedelta(minutes=10))
        assert await state(order_id) == "delivered"
        await _is_cancelled(stage, outside, order_id)
        reached = {fact["step"] for fact in stage.receipts if flow in fact.get("reached", ())}
        assert reached == {"payments.authorise", "payments.capture", "inventory.reserve", "shipping.ship"}


@pytest.mark.parametrize("seconds", [29.5, 29.9, 30.0, 30.1, 30.5, 31.0])
async def test_at_the_moment_of_its_time_out(seconds: float) -> None:
    """One of the two cancels it, and the other finds it cancelled."""
    outside = FakeOutside()
    fault = outside.fault(Api.PARCELS.target, Kind.DOWN)
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await asyncio.sleep(seconds)
        await cancel(order_id, REASON)
        outside.faults.remove(fault)
        await stage.advance(SOON)
        assert len(stage.said_of(OrderCancelled)) == 1
        assert await state(order_id) == "cancelled"
        assert (list(stage.dead), list(stage.zombies), list(stage.timers)) == ([], [], [])
    assert outside.stands() == NOTHING


@pytest.mark.parametrize("turns", range(0, TURNS, 2))
async def test_in_a_race_with_everything(turns: int) -> None:
    """After any number of turns of the loop: each step has not begun, is at work, or is done; the end is the same."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        for _ in range(turns):
            await asyncio.sleep(0)
        await _is_cancelled(stage, outside, order_id)


async def test_what_the_shop_has_cancelled_is_cancelled() -> None:
    """Nothing is said again, and the first reason stays; an unknown order is none."""
    async with shop(FakeOutside()) as stage:
        order_id, _ = await place(order(card="declined-1"), "key-1")
        await stage.quiet()
        found = await cancel(order_id, REASON)
        await stage.quiet()
        assert found is not None
        assert (found.cancelled_by, found.reason) == ("shop", "the card was declined")
        assert len(stage.said_of(OrderCancelled)) == 1
        assert await cancel("NONE", REASON) is None
