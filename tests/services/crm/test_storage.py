"""The contacts table."""

from sqlalchemy import select

from services.crm import storage
from tests.services.databases import database


async def test_a_contact_is_noted_with_its_flow(address: str) -> None:
    """The flow leads to the contact."""
    async with database(storage.tables, address) as db:
        await storage.note_contact(db, "k1", "f1", "ct_1")
        assert [tuple(row) for row in await db.execute(select(storage.contacts))] == [("k1", "f1", "ct_1")]
