"""The tables of the view and their queries."""

from dataclasses import replace

from services.order_view import storage
from services.order_view.domain import Line, Order, Payment, State
from services.order_view.storage import Filter
from tests.services.databases import database

ORDERS, LINES = storage.order_table, storage.line_table
NOTHING = Filter()


def at(number: int) -> str:
    """A moment."""
    return f"2026-01-01T00:00:{number:02}.000000Z"


async def test_an_order_is_read_as_it_was_written(address: str) -> None:
    """All fields come back, and what is put again stands in place of what was there."""
    async with database(storage.tables, address) as db:
        order = Order("A1", at(0), "c", "f", "lamp", 2, 999, changed_at=at(0))
        await storage.put(db, ORDERS, order, new=True)
        assert await storage.order(db, ORDERS, "A1") == order
        later = replace(order, state=State.CANCELLED, payment=Payment.VOIDED, reason="r", cancelled_by="shop")
        await storage.put(db, ORDERS, later, new=False)
        assert await storage.order(db, ORDERS, "A1") == later
        assert await storage.order(db, ORDERS, "A2") is None


async def test_orders_are_found_by_state_customer_and_time(address: str) -> None:
    """Each filter alone and together; `before` does not count itself, and one not yet placed is in no list."""
    async with database(storage.tables, address) as db:
        for number in range(6):
            state = State.SHIPPED if number % 2 else State.PLACED
            await storage.put(db, ORDERS, Order(f"A{number}", at(number), f"c{number // 3}", state=state), new=True)
        await storage.put(db, ORDERS, Order("A9", state=State.SHIPPED), new=True)

        async def found(wanted: Filter) -> list[str]:
            return [each.order_id for each in await storage.page(db, ORDERS, wanted, None, 10)]

        assert await found(NOTHING) == ["A5", "A4", "A3", "A2", "A1", "A0"]
        assert await found(Filter(state="shipped")) == ["A5", "A3", "A1"]
        assert await found(Filter(customer_id="c0")) == ["A2", "A1", "A0"]
        assert await found(Filter(since=at(2), before=at(4))) == ["A3", "A2"]
        assert await found(Filter(state="shipped", customer_id="c1", since=at(4))) == ["A5"]


async def test_pages_meet_without_gap_or_double_while_orders_come_and_change(address: str) -> None:
    """Two orders of one moment are told apart; a new order and a changed one move no row of a page."""
    async with database(storage.tables, address) as db:
        for number in range(7):
            await storage.put(db, ORDERS, Order(f"A{number}", at(number // 2)), new=True)
        seen, after = list[str](), None
        while found := await storage.page(db, ORDERS, NOTHING, after, 2):
            seen += [each.order_id for each in found]
            after = (found[-1].placed_at, found[-1].order_id)
            await storage.put(db, ORDERS, Order(f"B{len(seen)}", at(30 + len(seen))), new=True)
            await storage.put(db, ORDERS, Order("A3", at(1), state=State.SHIPPED), new=False)
        assert seen == [f"A{number}" for number in reversed(range(7))]


async def test_a_history_joins_orders_and_leads(address: str) -> None:
    """Newest first, of this customer alone, in pages; a line noted twice stands once."""
    async with database(storage.tables, address) as db:
        await storage.put(db, ORDERS, Order("A1", at(1), "ada"), new=True)
        await storage.put(db, ORDERS, Order("B1", at(1), "bob"), new=True)
        lines = [
            Line("lead/ada x", at(0), "lead.captured", "interest", "f0", customer_id="ada", delivery="d-1"),
            Line("order/A1 x", at(1), "order.placed", "ordered", "f1", order_id="A1"),
            Line("order/A1 y", at(2), "order.confirmed", "confirmed", "f1", order_id="A1"),
            Line("order/B1 x", at(3), "order.placed", "ordered", "f2", order_id="B1"),
        ]
        for line in [*lines, *lines]:
            await storage.note(db, LINES, line)
        assert await storage.history(db, ORDERS, LINES, "ada", None, 10) == lines[2::-1]
        assert await storage.history(db, ORDERS, LINES, "ada", (at(1), "order/A1 x"), 10) == lines[:1]
        assert await storage.history(db, ORDERS, LINES, "eve", None, 10) == []
        assert await storage.every_line(db, LINES, "", None, 2) == lines[:1:-1]
        assert await storage.every_line(db, LINES, "lead.captured", None, 10) == lines[:1]
