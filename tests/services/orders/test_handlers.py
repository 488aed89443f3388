"""Confirming and cancelling as plain functions."""

import pytest

from hocket import Reject, Tx
from hocket.testing import fake_tx
from services.orders import storage
from services.orders.domain import NewOrder, OrderState
from services.orders.events import OrderCancelled, OrderConfirmed, PaymentDeclined, StockRejected, StockReserved
from services.orders.handlers import cancel, confirm

NEW = NewOrder(customer="Ada", email="ada@example.com", card="tok_1", sku="lamp", quantity=2, total_cents=999)
RESERVED = StockReserved(order_id="A1")
REJECTED = StockRejected(order_id="A1", reason="no stock")
DECLINED = PaymentDeclined(order_id="A1", reason="no money")


async def _placed() -> Tx:
    """A transaction in whose database order A1 is placed."""
    tx = fake_tx(tables=storage.tables)
    await storage.add(await tx.db(), "A1", NEW, flow="f", placed_at="t")
    return tx


async def _state(tx: Tx) -> tuple[OrderState, str]:
    order = await storage.find(await tx.db(), "A1")
    assert order is not None
    return order.state, order.reason


async def test_reserved_goods_confirm_the_order_once() -> None:
    """The event carries the customer's address; a second fact says nothing."""
    tx = await _placed()
    assert await confirm(RESERVED, tx) == OrderConfirmed(order_id="A1", email="ada@example.com")
    assert await confirm(RESERVED, tx) is None
    assert await _state(tx) == (OrderState.CONFIRMED, "")


@pytest.mark.parametrize("fact", [REJECTED, DECLINED])
async def test_a_failure_cancels_the_order_once(fact: StockRejected | PaymentDeclined) -> None:
    """With the first reason heard."""
    tx = await _placed()
    assert await cancel(fact, tx) == OrderCancelled(order_id="A1", email="ada@example.com", reason=fact.reason)
    assert await cancel(StockRejected(order_id="A1", reason="later"), tx) is None
    assert await _state(tx) == (OrderState.CANCELLED, fact.reason)


async def test_a_cancellation_has_the_last_word() -> None:
    """Facts overtake each other: a reservation after the failure changes nothing, a failure after it cancels."""
    late, early = await _placed(), await _placed()
    assert await cancel(DECLINED, late) is not None
    assert await confirm(RESERVED, late) is None
    assert await confirm(RESERVED, early) is not None
    assert await cancel(DECLINED, early) is not None
    assert await _state(late) == await _state(early) == (OrderState.CANCELLED, "no money")


async def test_an_unknown_order_is_for_a_person() -> None:
    """Its own database does not know it: trying again would change nothing."""
    with pytest.raises(Reject, match="A1"):
        await confirm(RESERVED, fake_tx(tables=storage.tables))
