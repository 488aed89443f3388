"""Reserving and releasing as plain functions."""

import pytest
from sqlalchemy import select

from hocket import Death, Reject
from hocket.testing import fake_tx
from services.inventory import storage
from services.inventory.domain import NO_ANSWER, NO_STOCK, Refused, Reserved, SoldOut
from services.inventory.events import OrderCancelled, PaymentAuthorised, StockRejected, StockReleased, StockReserved
from services.inventory.handlers import release, reserve, reserve_gave_up

PAID = PaymentAuthorised(order_id="A1", sku="lamp", quantity=2)
REJECTED = StockRejected(order_id="A1", sku="lamp", reason=NO_ANSWER)


class Shop:
    """A shop system that always gives the same answer, and remembers what it was asked."""

    def __init__(self, answer: Reserved | SoldOut | Refused, released: Refused | None = None) -> None:
        self.answer = answer
        self.released = released
        self.asked: list[tuple[object, ...]] = []

    async def reserve(self, order_id: str, sku: str, quantity: int, *, key: str) -> Reserved | SoldOut | Refused:
        """See `services.inventory.service.Stock`."""
        self.asked.append((order_id, sku, quantity, key))
        return self.answer

    async def release(self, order_id: str, *, key: str, original: str) -> Refused | None:
        """See `services.inventory.service.Stock`."""
        self.asked.append((order_id, key, original))
        return self.released


async def test_goods_that_are_there_are_said_and_noted() -> None:
    """The reservation is asked for under the stable key."""
    shop = Shop(Reserved("rs_1"))
    tx = fake_tx(uses=shop, tables=storage.tables)
    assert await reserve(PAID, tx) == StockReserved(order_id="A1", reservation_id="rs_1", sku="lamp", quantity=2)
    assert shop.asked == [("A1", "lamp", 2, tx.idempotency_key)]
    rows = (await (await tx.db()).execute(select(storage.reservations))).all()
    assert [tuple(row) for row in rows] == [("A1", "rs_1", "lamp", 2, False)]


async def test_goods_that_are_not_there_are_a_rejection() -> None:
    """A value, not a failure: nothing is tried again."""
    said = await reserve(PAID, fake_tx(uses=Shop(SoldOut()), tables=storage.tables))
    assert said == StockRejected(order_id="A1", sku="lamp", reason=NO_STOCK)


async def test_a_refused_key_is_not_tried_again() -> None:
    """Asking once more would change nothing: dead at once, and on_dead says rejected."""
    with pytest.raises(Reject, match="A1"):
        await reserve(PAID, fake_tx(uses=Shop(Refused("given back")), tables=storage.tables))
    assert reserve_gave_up(PAID, Death("rejected", "given back", 1)) == REJECTED


async def test_a_release_names_the_key_of_its_reservation() -> None:
    """RULES 5.4: undone by the step's own key, noted and said."""
    shop = Shop(Reserved("rs_1"))
    tx = fake_tx(uses=shop, tables=storage.tables)
    await storage.note_reservation(await tx.read(), "A1", "rs_1", "lamp", 2)
    assert await release(PAID, None, REJECTED, tx) == StockReleased(order_id="A1", reason=REJECTED.reason)
    assert shop.asked == [("A1", tx.idempotency_key, tx.step_key)]
    assert (await (await tx.db()).execute(select(storage.reservations.c.released))).scalar_one() is True


async def test_a_refused_release_is_for_a_person() -> None:
    """It is dead at once and stays a zombie until a person settles it."""
    shop = Shop(Reserved("rs_1"), Refused("not given back"))
    with pytest.raises(Reject, match="A1"):
        await release(PAID, None, OrderCancelled(order_id="A1", reason="x"), fake_tx(uses=shop, tables=storage.tables))
