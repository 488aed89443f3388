"""The charges table."""

from sqlalchemy import select

from services.payments import storage
from tests.services.databases import database


async def test_a_refund_is_noted_at_its_charge(address: str) -> None:
    """A refund of a charge that was never noted leaves no row."""
    async with database(storage.tables, address) as db:
        await storage.note_charge(db, "A1", "ch_1", 999)
        await storage.note_charge(db, "A2", "ch_2", 500)
        await storage.note_refund(db, "A1", "re_1")
        await storage.note_refund(db, "A3", "re_3")
        rows = (await db.execute(select(storage.charges).order_by(storage.charges.c.order_id))).all()
        assert [tuple(row) for row in rows] == [("A1", "ch_1", 999, "re_1"), ("A2", "ch_2", 500, "")]
