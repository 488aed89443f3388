"""What each service hears of one cancelled order, in every order of arrival, once and twice: nothing stands then."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from hocket import Heard, Service
from hocket.testing import play
from services.inventory import events as of_stock
from services.inventory import inventory
from services.payments import events as of_money
from services.payments import payments
from services.shipping import events as of_parcels
from services.shipping import shipping
from tests.flows.fake_outside import FakeCards, FakeCarrier, FakeOutside, FakeStock
from tests.flows.shop import NOTHING, SOON

FLOW, OTHER = "0198c5b8-0000-7000-8000-000000000001", "0198c5b8-0000-7000-8000-000000000002"
#: An event, and the flow in which it is said; the customer's cancellation has one of its own.
Said = tuple[Heard, str]

MONEY: list[Said] = [
    (of_money.OrderPlaced(order_id="A1", card="tok_1", sku="lamp", quantity=1, total_cents=999), FLOW),
    (of_money.StockRejected(order_id="A1", reason="no stock"), FLOW),
    (of_money.OrderCancelled(order_id="A1", reason="no stock"), FLOW),
    (of_money.OrderCancelled(order_id="A1", reason="too dark"), OTHER),
]
TAKEN: Said = (of_money.ParcelShipped(order_id="A1"), FLOW)
STOCK: list[Said] = [
    (of_stock.PaymentAuthorised(order_id="A1", sku="lamp", quantity=1), FLOW),
    (of_stock.ParcelRefused(order_id="A1", reason="too big"), FLOW),
    (of_stock.OrderCancelled(order_id="A1", reason="too big"), FLOW),
    (of_stock.OrderCancelled(order_id="A1", reason="too dark"), OTHER),
]
PARCELS: list[Said] = [
    (of_parcels.OrderConfirmed(order_id="A1", sku="lamp", quantity=1), FLOW),
    (of_parcels.OrderCancelled(order_id="A1", reason="too late"), FLOW),
    (of_parcels.OrderCancelled(order_id="A1", reason="too dark"), OTHER),
]


async def _nothing_stands(
    service: Service[Any], outside: FakeOutside, arrivals: Sequence[Said], *, twice: bool, first: Sequence[Said] = ()
) -> None:
    """All of them arrive; `first` is what has surely ended before anybody else could say anything."""
    async with play(service) as stage:
        for number, (event, flow) in enumerate([*first, *arrivals]):
            for _ in range(1 + twice):
                await stage.hear(event, subject="order/A1", key=f"{event} {flow}", correlation_id=flow)
            if number < len(first) or number % 2:  # of the rest some meet at work, and some come after one another
                await stage.quiet()
        await stage.advance(SOON)
        assert (list(stage.dead), list(stage.zombies)) == ([], [])
    assert outside.stands() == NOTHING


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("arrivals", list(itertools.permutations(MONEY)))
async def test_money_that_was_held(arrivals: Sequence[Said], twice: bool) -> None:
    """RULES 5.3: held and voided, or never held."""
    outside = FakeOutside()
    await _nothing_stands(payments.using(FakeCards(outside)), outside, arrivals, twice=twice)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("arrivals", list(itertools.permutations([*MONEY[2:], TAKEN])))
async def test_money_that_was_taken(arrivals: Sequence[Said], twice: bool) -> None:
    """RULES 5.3: a capture is refunded, finds its authorisation voided, or is refused."""
    outside = FakeOutside()
    await _nothing_stands(payments.using(FakeCards(outside)), outside, arrivals, twice=twice, first=MONEY[:1])


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("arrivals", list(itertools.permutations(STOCK)))
async def test_goods(arrivals: Sequence[Said], twice: bool) -> None:
    """RULES 5.3: taken and given back, or never taken."""
    outside = FakeOutside()
    await _nothing_stands(inventory.using(FakeStock(outside)), outside, arrivals, twice=twice)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("arrivals", list(itertools.permutations(PARCELS)))
async def test_a_parcel(arrivals: Sequence[Said], twice: bool) -> None:
    """RULES 5.3: booked and called back, or never booked."""
    outside = FakeOutside()
    await _nothing_stands(shipping.using(FakeCarrier(outside)), outside, arrivals, twice=twice)
