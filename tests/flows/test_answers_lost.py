"""Calls time out after they were done: asked again under the same key, the outside acts once."""

import pytest

from hocket import Retry
from services.inventory.domain import NO_ANSWER as NO_STOCK_ANSWER
from services.inventory.handlers import RESERVE_RETRY
from services.orders.events import OrderCancelled
from services.payments.domain import NO_ANSWER as NO_CARD_ANSWER
from services.payments.handlers import AUTHORISE_RETRY
from services.sandbox.domain import Api, Did, Target
from services.sandbox.faults import Kind
from services.shipping.domain import NO_ANSWER as NO_PARCEL_ANSWER
from services.shipping.handlers import SHIP_RETRY
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import SHIPPED, SOON, order, place, shop, state

#: Orders that go well beside the one that does not, one a second: longer than its attempts take.
OTHERS = 20
ACTS = [(Api.AUTHORISATIONS, Did.AUTHORISED), (Api.CAPTURES, Did.CAPTURED), (Api.RESERVATIONS, Did.RESERVED),
        (Api.PARCELS, Did.BOOKED)]  # fmt: skip


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize(("api", "did"), ACTS)
async def test_it_is_done_once(api: Api, did: Did, times: int) -> None:
    """RULES 2.4: the key handed to the outside is the same in every attempt."""
    outside = FakeOutside()
    outside.fault(api.target, Kind.TIMEOUT_AFTER, api=api, times=times)
    async with shop(outside) as stage:
        order_id, _ = await place(order(), "key-1")
        await stage.advance(SOON)
        assert await state(order_id) == "shipped"
        assert not list(stage.dead)
    asked = [line for line in outside.lines if line.asked.api is api]
    assert [line.verdict.did for line in asked] == [did, *[Did.REPEATED] * times]
    assert len({line.asked.key for line in asked}) == 1
    assert outside.stands() == SHIPPED


@pytest.mark.parametrize(
    ("target", "retry", "step", "reason"),
    [
        (Target.CARDS, AUTHORISE_RETRY, "payments.authorise", NO_CARD_ANSWER),
        (Target.STOCK, RESERVE_RETRY, "inventory.reserve", NO_STOCK_ANSWER),
        (Target.CARRIER, SHIP_RETRY, "shipping.ship", NO_PARCEL_ANSWER),
    ],
)
async def test_what_nobody_heard_of_goes_back(target: Target, retry: Retry, step: str, reason: str) -> None:
    """RULES 5.4, 5.5: one order gets no answer: on_dead ends its flow, and the undo gives back by the step's own key.

    The orders around it go well, so the breaker has no reason to open.
    """
    outside = FakeOutside()
    async with shop(outside) as stage:
        first, _ = await place(order(), "key-0")
        await stage.quiet()
        doomed, _ = await place(order(), "doomed")
        outside.fault(target, Kind.TIMEOUT_AFTER, times=retry.attempts, order_id=doomed)
        others = [first]
        for number in range(1, OTHERS):
            others.append((await place(order(), f"key-{number}"))[0])
            await stage.advance(SOON / 120)
        await stage.advance(SOON)
        assert [(each.order_id, each.reason) for each in stage.said_of(OrderCancelled)] == [(doomed, reason)]
        assert list(stage.dead) == [step]
        assert list(stage.zombies) == []
        assert {await state(each) for each in others} == {"shipped"}
    assert outside.stands() == SHIPPED.times(OTHERS)
