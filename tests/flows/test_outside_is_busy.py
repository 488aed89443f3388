"""A system outside answers 429: it is left alone for as long as it asks, and nothing is lost by that."""

from datetime import timedelta

import pytest

from services.crm.events import LeadSynced
from services.ingress.domain import NewLead
from services.ingress.http import capture
from services.orders.events import OrderCancelled
from services.sandbox.domain import Target
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import NOTHING, SHIPPED, SOON, cancel, order, place, shop, state

#: Seconds that it asks for, in its Retry-After: longer than a breaker of the shop opens by itself.
ASKED = 12


def _calls(outside: FakeOutside, target: Target) -> list[float]:
    """When a system was asked, the first time apart: seconds after it."""
    at = [line.asked.began for line in outside.lines if line.asked.api.target is target]
    return [each - at[0] for each in at]


@pytest.mark.parametrize("target", [Target.CARDS, Target.STOCK, Target.CARRIER, Target.MAIL])
async def test_it_is_asked_again_when_it_said(target: Target) -> None:
    """RULES 6.7: its first 429 opens the breaker until then; the order is shipped, no attempt is used up."""
    outside = FakeOutside()
    outside.busy[target] = ASKED
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.advance(timedelta(seconds=ASKED - 1))
        assert len(_calls(outside, target)) == 1
        del outside.busy[target]
        await stage.advance(SOON)
        assert await state(order_id) == "shipped"
        assert not stage.said_of(OrderCancelled)
        assert list(stage.dead) == []
    assert _calls(outside, target)[1] >= ASKED
    assert outside.stands() == SHIPPED
    assert outside.mailbox() == [("ada@example.com", "confirmation")]


async def test_a_customer_system_that_is_busy() -> None:
    """The same for leads: the welcome goes out at once, the lead is entered when the customer system has time."""
    outside = FakeOutside()
    outside.busy[Target.CRM] = ASKED
    async with shop(outside) as stage:
        await capture(NewLead(email="ada@example.com", campaign="spring"), "d1")
        await stage.advance(timedelta(seconds=ASKED - 1))
        assert outside.mailbox() == [("ada@example.com", "welcome")]
        assert len(_calls(outside, Target.CRM)) == 1
        del outside.busy[Target.CRM]
        await stage.advance(SOON)
        assert len(stage.said_of(LeadSynced)) == 1
        assert list(stage.dead) == []


async def test_what_goes_back_waits_as_well() -> None:
    """Void and refund, release, recall: each is asked for again after that time, and comes."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.quiet()
        assert outside.stands() == SHIPPED
        outside.busy |= dict.fromkeys((Target.CARDS, Target.STOCK, Target.CARRIER), ASKED)
        await cancel(order_id, "too dark")
        await stage.advance(timedelta(seconds=ASKED - 1))
        assert outside.stands() == SHIPPED
        outside.busy.clear()
        await stage.advance(SOON)
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.stands() == NOTHING
