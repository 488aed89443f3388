"""Moving orders on and cancelling them as plain functions."""

import pytest

from hocket import Reject, Tx
from hocket.testing import fake_tx
from services.orders import storage
from services.orders.domain import Cancelling, NewOrder, OrderState
from services.orders.events import (
    OrderCancelled,
    OrderConfirmed,
    OrderPlaced,
    ParcelDelivered,
    ParcelRefused,
    ParcelShipped,
    PaymentDeclined,
    StockRejected,
    StockReserved,
)
from services.orders.handlers import TOO_LATE, cancel, confirm, note_delivered, note_shipped, unshipped

NEW = NewOrder(customer="Ada", email="ada@example.com", card="tok_1", sku="lamp", quantity=2, total_cents=999)
PLACED = OrderPlaced(order_id="A1", **NEW.model_dump())
CONFIRMED = OrderConfirmed(order_id="A1", email="ada@example.com", sku="lamp", quantity=2, total_cents=999)
RESERVED = StockReserved(order_id="A1")
REJECTED = StockRejected(order_id="A1", reason="no stock")
DECLINED = PaymentDeclined(order_id="A1", reason="no money")
REFUSED = ParcelRefused(order_id="A1", reason="too big")


async def _placed() -> Tx:
    """A transaction in whose database order A1 is placed."""
    tx = fake_tx(tables=storage.tables)
    await storage.add(await tx.db(), "A1", NEW, flow="f", placed_at="t")
    return tx


async def _order(tx: Tx) -> storage.Order:
    order = await storage.find(await tx.db(), "A1")
    assert order is not None
    return order


def _cancelled(reason: str) -> OrderCancelled:
    return OrderCancelled(order_id="A1", email="ada@example.com", reason=reason, by="shop")


async def test_reserved_goods_confirm_the_order_once() -> None:
    """The event carries what shipping and the mail need; a second fact says nothing."""
    tx = await _placed()
    assert await confirm(RESERVED, tx) == CONFIRMED
    assert await confirm(RESERVED, tx) is None
    assert (await _order(tx)).state is OrderState.CONFIRMED


async def test_a_parcel_moves_the_order_on() -> None:
    """Shipped, then delivered; the two may overtake each other."""
    tx, overtaken = await _placed(), await _placed()
    await note_shipped(ParcelShipped(order_id="A1"), tx)
    assert (await _order(tx)).state is OrderState.SHIPPED
    for each in (tx, overtaken):
        await note_delivered(ParcelDelivered(order_id="A1"), each)
    await note_shipped(ParcelShipped(order_id="A1"), overtaken)
    assert (await _order(tx)).state is (await _order(overtaken)).state is OrderState.DELIVERED


@pytest.mark.parametrize("fact", [REJECTED, DECLINED, REFUSED])
async def test_a_failure_cancels_the_order_once(fact: StockRejected | PaymentDeclined | ParcelRefused) -> None:
    """With the first reason heard, by the shop, in the flow of the order."""
    tx = await _placed()
    assert await cancel(fact, tx) == _cancelled(fact.reason)
    assert await cancel(StockRejected(order_id="A1", reason="later"), tx) is None
    order = await _order(tx)
    assert (order.state, order.reason) == (OrderState.CANCELLED, fact.reason)
    assert (order.cancelled_by, order.cancelled_in) == (Cancelling.SHOP, tx.correlation_id)


async def test_a_cancellation_has_the_last_word() -> None:
    """Facts overtake each other: a reservation after the failure changes nothing, a failure after it cancels."""
    late, early = await _placed(), await _placed()
    assert await cancel(DECLINED, late) is not None
    assert await confirm(RESERVED, late) is None
    assert await confirm(RESERVED, early) is not None
    assert await cancel(DECLINED, early) is not None
    assert (await _order(late)).state is (await _order(early)).state is OrderState.CANCELLED


async def test_an_order_that_nothing_came_of_is_cancelled_once() -> None:
    """Also one that is confirmed and waits for its parcel."""
    tx = await _placed()
    await confirm(RESERVED, tx)
    assert await unshipped(PLACED, tx) == _cancelled(TOO_LATE)
    assert await unshipped(PLACED, tx) is None


async def test_an_order_that_is_on_its_way_is_left_alone() -> None:
    """The parcel was shipped just in time, and orders has heard of it before its time-out has."""
    tx = await _placed()
    await note_shipped(ParcelShipped(order_id="A1"), tx)
    assert await unshipped(PLACED, tx) is None
    assert (await _order(tx)).state is OrderState.SHIPPED


async def test_an_unknown_order_is_for_a_person() -> None:
    """Its own database does not know it: trying again would change nothing."""
    with pytest.raises(Reject, match="A1"):
        await confirm(RESERVED, fake_tx(tables=storage.tables))
    with pytest.raises(Reject, match="A1"):
        await unshipped(PLACED, fake_tx(tables=storage.tables))
