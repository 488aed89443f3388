"""Any mixture of accidents, from a seed: the books balance all the same."""

import asyncio
import random
from datetime import timedelta

import pytest

from services.orders.domain import NewOrder
from services.orders.events import OrderCancelled, OrderConfirmed, OrderPlaced
from services.orders.http import place
from services.sandbox.domain import Api, Did, Target
from services.sandbox.faults import Kind
from tests.flows.fake_outside import FakeOutside
from tests.flows.shop import LONG, order, shop

#: Orders placed in one run.
ORDERS = 25
#: Virtual seconds during which accidents happen.
TROUBLE_SECONDS = 60.0


@pytest.mark.parametrize("seed", range(6))
async def test_the_books_balance(seed: int) -> None:
    """Every order ends once; one charge a key at most; charges less refunds are confirmations; nobody is a zombie."""
    chance = random.Random(seed)
    outside = FakeOutside()
    async with shop(outside, seed=seed) as stage:
        for number in range(ORDERS):
            if chance.random() < 0.5:
                _accident(outside, chance)
            await place(_order(number, chance), f"key-{number}")
            await asyncio.sleep(chance.random() * TROUBLE_SECONDS / ORDERS)
        outside.faults.remove_all(None)
        await stage.advance(LONG + timedelta(hours=1))
        placed = {each.order_id for each in stage.said_of(OrderPlaced)}
        confirmed = [each.order_id for each in stage.said_of(OrderConfirmed)]
        cancelled = [each.order_id for each in stage.said_of(OrderCancelled)]
        assert sorted(confirmed + cancelled) == sorted(placed)
        assert len(placed) == ORDERS
        assert list(stage.zombies) == []
    did = outside.did(Target.CARDS)
    charged = [line.asked.key for line in outside.lines if line.verdict.did is Did.CHARGED]
    assert len(charged) == len(set(charged))
    assert did.count(Did.CHARGED) - did.count(Did.REFUNDED) == len(confirmed)
    taken = outside.did(Target.STOCK)
    assert taken.count(Did.RESERVED) - taken.count(Did.RELEASED) == len(confirmed)


def _order(number: int, chance: random.Random) -> NewOrder:
    card = f"declined-{number}" if chance.random() < 0.15 else f"tok-{number}"
    return order(card=card, sku="sold-out" if chance.random() < 0.2 else "lamp", email=f"c{number}@example.com")


def _accident(outside: FakeOutside, chance: random.Random) -> None:
    act, target = chance.choice([(Api.CHARGES, Target.CARDS), (Api.RESERVATIONS, Target.STOCK)])
    kind = chance.choice([Kind.ERROR, Kind.DOWN, Kind.TIMEOUT_AFTER, Kind.DECLINE])
    api = act if kind is Kind.DECLINE else None  # a refund that is refused is for a person
    outside.fault(target, kind, api=api, times=chance.choice([1, 2, 3, 6, 12]))
