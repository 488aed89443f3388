"""Any mixture of accidents, from a seed: the books balance all the same."""

import asyncio
import random
from collections import Counter

import pytest

from services.orders.domain import NewOrder
from services.orders.events import OrderCancelled, OrderPlaced
from services.sandbox.domain import GIVEN_BACK, Api, Target
from services.sandbox.faults import Kind
from services.shipping.http import deliver
from tests.flows.fake_outside import FakeOutside, Stands
from tests.flows.shop import SOON, cancel, order, place, shop, state

#: Orders placed in one run.
ORDERS = 25
#: Virtual seconds during which accidents happen.
TROUBLE_SECONDS = 90.0


@pytest.mark.parametrize("seed", range(6))
async def test_the_books_balance(seed: int) -> None:
    """Every order ends once, and what stands is what was shipped; no key acted twice; nobody is a zombie."""
    chance = random.Random(seed)
    outside = FakeOutside()
    async with shop(outside, seed=seed) as stage:
        placed = list[str]()
        for number in range(ORDERS):
            if chance.random() < 0.5:
                _accident(outside, chance)
            placed.append((await place(_order(number, chance), f"key-{number}"))[0])
            await asyncio.sleep(chance.random() * TROUBLE_SECONDS / ORDERS)
            for turn in (cancel, deliver):
                if chance.random() < 0.2:
                    await (cancel(chance.choice(placed), "x") if turn is cancel else deliver(chance.choice(placed)))
        outside.faults.remove_all(None)
        await stage.advance(2 * SOON)
        states = {order_id: await state(order_id) for order_id in placed}
        assert sorted(each.order_id for each in stage.said_of(OrderPlaced)) == sorted(placed)
        cancelled = [each.order_id for each in stage.said_of(OrderCancelled)]
        assert sorted(cancelled) == sorted(each for each, at in states.items() if at == "cancelled")
        assert set(states.values()) <= {"shipped", "delivered", "cancelled"}
        assert (list(stage.zombies), list(stage.timers)) == ([], [])
    kept = ORDERS - len(cancelled)
    assert outside.stands() == Stands(held=0, taken=kept, goods=kept, parcels=kept)
    acted = Counter((line.asked.api, line.asked.key, line.verdict.did) for line in outside.lines)
    once = {*GIVEN_BACK.keys(), *GIVEN_BACK.values()}
    assert [each for each, times in acted.items() if each[2] in once and times > 1] == []


def _order(number: int, chance: random.Random) -> NewOrder:
    card = f"declined-{number}" if chance.random() < 0.15 else f"tok-{number}"
    sku = chance.choice(["lamp", "lamp", "lamp", "lamp", "lamp", "sold-out", "too-big"])
    return order(card=card, sku=sku, email=f"c{number}@example.com")


def _accident(outside: FakeOutside, chance: random.Random) -> None:
    acts = [(Api.AUTHORISATIONS, Target.CARDS), (Api.RESERVATIONS, Target.STOCK), (Api.PARCELS, Target.CARRIER)]
    act, target = chance.choice(acts)
    kind = chance.choice([Kind.ERROR, Kind.DOWN, Kind.TIMEOUT_AFTER, Kind.DECLINE])
    api = act if kind is Kind.DECLINE else None  # a refund that is refused is for a person
    outside.fault(target, kind, api=api, times=chance.choice([1, 2, 3, 6, 12]))
