"""The reservations table."""

from sqlalchemy import select

from services.inventory import storage
from tests.services.databases import database


async def test_a_release_is_noted_at_its_reservation(address: str) -> None:
    """A release of a reservation that was never noted leaves no row."""
    async with database(storage.tables, address) as db:
        await storage.note_reservation(db, "A1", "rs_1", "lamp", 2)
        await storage.note_reservation(db, "A2", "rs_2", "lamp", 1)
        await storage.note_release(db, "A1")
        await storage.note_release(db, "A3")
        rows = (await db.execute(select(storage.reservations).order_by(storage.reservations.c.order_id))).all()
        assert [tuple(row) for row in rows] == [("A1", "rs_1", "lamp", 2, True), ("A2", "rs_2", "lamp", 1, False)]
