"""A charge times out after it was done: asked again under the same key, the card pays once."""

import pytest

from services.orders.events import OrderCancelled, OrderConfirmed
from services.orders.http import place
from services.payments.domain import NO_ANSWER
from services.sandbox.domain import Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, shop


@pytest.mark.parametrize("times", [1, 3])
async def test_it_is_charged_once(times: int) -> None:
    """RULES 2.4: the key handed to the outside is the same in every attempt."""
    outside = FakeOutside()
    outside.fault(Target.CARDS, Kind.TIMEOUT_AFTER, times=times, card="tok_1")
    async with shop(outside) as stage:
        await place(order(), "key-1")
        await stage.advance(LONG)
        assert len(stage.said_of(OrderConfirmed)) == 1
        assert not list(stage.dead)
    assert outside.did(Target.CARDS) == [Did.CHARGED, *[Did.REPEATED] * times]
    assert len({line.asked.key for line in outside.lines if line.asked.api.target is Target.CARDS}) == 1


async def test_a_charge_nobody_heard_of_goes_back() -> None:
    """RULES 5.5: no answer to any attempt is said as declined; the undo refunds what the charge's own key took."""
    outside = FakeOutside()
    outside.fault(Target.CARDS, Kind.TIMEOUT_AFTER, card="tok_1")
    async with shop(outside) as stage:
        await place(order(), "key-1")
        await stage.advance(LONG)
        assert [each.reason for each in stage.said_of(OrderCancelled)] == [NO_ANSWER]
        assert list(stage.dead) == ["payments.charge"]
        assert not list(stage.zombies)
    did = outside.did(Target.CARDS)
    assert (did.count(Did.CHARGED), did.count(Did.REFUNDED)) == (1, 1)
    assert outside.mailbox() == [("ada@example.com", "apology")]
