"""The card system answers nothing for a while: the breaker opens, orders wait, and all of them come to their end."""

import itertools
from datetime import timedelta

from services.orders.events import OrderCancelled, OrderConfirmed
from services.payments.service import card_api
from services.sandbox.domain import Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import SHIPPED, SOON, order, place, shop

#: Virtual seconds that the card system is away: less than an order may wait, and more than its attempts would last.
OUTAGE_SECONDS = 14
ORDERS = 20


async def test_orders_wait_for_the_cards_and_lose_no_attempt() -> None:
    """RULES 6.1: while the breaker is open an attempt is deferred, not used up."""
    outside = FakeOutside()
    async with shop(outside) as stage:
        fault = outside.fault(Target.CARDS, Kind.ERROR)
        for number in range(ORDERS):
            await place(order(email=f"c{number}@example.com"), f"key-{number}")
        await stage.quiet()
        await stage.advance(timedelta(seconds=OUTAGE_SECONDS))
        assert not stage.said_of(OrderConfirmed)
        outside.faults.remove(fault)
        await stage.advance(SOON)
        assert len(stage.said_of(OrderConfirmed)) == ORDERS
        assert not stage.said_of(OrderCancelled)
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.stands() == SHIPPED.times(ORDERS)
    assert outside.did(Target.CARDS).count(Did.AUTHORISED) == ORDERS
    _only_probes(outside)
    assert len(outside.mailbox()) == ORDERS


def _only_probes(outside: FakeOutside) -> None:
    """After those that had begun before anybody could know, no two requests are nearer than its period."""
    began = [line.asked.began for line in outside.lines if line.asked.api.target is Target.CARDS]
    failed = [line.verdict.status >= 500 for line in outside.lines if line.asked.api.target is Target.CARDS]
    failures = failed.index(False)
    assert all(failed[:failures])
    assert failures > card_api.after
    at_once = sum(each - began[0] < 1 for each in began)
    probes = began[at_once : failures + 1]
    gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
    assert gaps
    assert min(gaps) >= card_api.open_for.total_seconds()
