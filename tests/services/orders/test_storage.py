"""The orders table."""

from services.orders import storage
from services.orders.domain import Cancelling, NewOrder, OrderState
from tests.services.databases import database

NEW = NewOrder(customer="Ada", email="ada@example.com", card="tok_1", sku="lamp", quantity=2, total_cents=999)


async def test_an_order_is_read_as_it_was_written(address: str) -> None:
    """All fields come back, and the card token is not kept."""
    async with database(storage.tables, address) as db:
        await storage.add(db, "A1", NEW, flow="f-1", placed_at="2026-01-01T00:00:00.000000Z")
        order = await storage.find(db, "A1")
        assert order is not None
        assert (order.order_id, order.state, order.reason, order.flow) == ("A1", OrderState.PLACED, "", "f-1")
        assert (order.customer, order.email, order.sku) == ("Ada", "ada@example.com", "lamp")
        assert (order.quantity, order.total_cents, order.fingerprint) == (2, 999, NEW.fingerprint())
        assert "card" not in storage.order_table.c
        assert await storage.find(db, "A2") is None


async def test_an_order_moves_on_and_never_back(address: str) -> None:
    """Each state once, with the row as it stands afterwards; an order that is not there does not move."""
    async with database(storage.tables, address) as db:
        await storage.add(db, "A1", NEW, flow="f", placed_at="t")
        moved = [await storage.move(db, "A1", to) for to in (OrderState.SHIPPED, OrderState.CONFIRMED)]
        assert [each and each.state for each in moved] == [OrderState.SHIPPED, None]
        assert await storage.move(db, "A1", OrderState.SHIPPED) is None
        assert await storage.move(db, "A2", OrderState.SHIPPED) is None


async def test_an_order_is_cancelled_once(address: str) -> None:
    """With the first reason; not where it has come as far as `unless`, and nothing moves it afterwards."""
    async with database(storage.tables, address) as db:
        await storage.add(db, "A1", NEW, flow="f", placed_at="t")
        await storage.move(db, "A1", OrderState.SHIPPED)
        late = await storage.cancel(db, "A1", Cancelling.SHOP, "too late", flow="f", unless=OrderState.SHIPPED)
        assert late is None
        cancelled = await storage.cancel(db, "A1", Cancelling.CUSTOMER, "too dark", flow="f-2")
        assert await storage.cancel(db, "A1", Cancelling.SHOP, "later", flow="f") is None
        assert await storage.move(db, "A1", OrderState.DELIVERED) is None
        assert cancelled is not None
        assert cancelled == await storage.find(db, "A1")
        assert (cancelled.state, cancelled.reason) == (OrderState.CANCELLED, "too dark")
        assert (cancelled.cancelled_by, cancelled.cancelled_in) == ("customer", "f-2")


async def test_an_order_moves_alone(address: str) -> None:
    """Moving one order leaves the others as they are."""
    async with database(storage.tables, address) as db:
        for number in range(3):
            await storage.add(db, f"A{number}", NEW, flow="f", placed_at="t")
        await storage.cancel(db, "A1", Cancelling.SHOP, "no stock", flow="f")
        found = [await storage.find(db, f"A{number}") for number in range(3)]
        assert [(each.state, each.reason) for each in found if each] == [
            (OrderState.PLACED, ""),
            (OrderState.CANCELLED, "no stock"),
            (OrderState.PLACED, ""),
        ]


async def test_pages_meet_without_gap_or_double(address: str) -> None:
    """Following the numbers visits every order once, in order of arrival."""
    async with database(storage.tables, address) as db:
        for number in range(7):
            await storage.add(db, f"A{number}", NEW, flow="f", placed_at="t")
        seen, after = list[str](), 0
        while page := await storage.page(db, after, 3):
            seen += [order.order_id for order in page]
            after = page[-1].number
        assert seen == [f"A{number}" for number in range(7)]
        assert await storage.page(db, 2**62, 3) == []
