"""The payments table."""

from services.payments import storage
from services.payments.storage import Payment
from tests.services.databases import database


async def test_what_happens_is_noted_at_its_payment(address: str) -> None:
    """Each beside the others; what belongs to money that was never noted leaves no row."""
    async with database(storage.tables, address) as db:
        for number in (1, 2):
            await storage.note_authorisation(db, f"A{number}", f"au_{number}", 999)
        await storage.note_capture(db, "A1", "ca_1")
        await storage.note_refund(db, "A1", "re_1")
        await storage.note_void(db, "A2", "vo_2")
        await storage.note_void(db, "A3", "vo_3")
        assert await storage.find(db, "A1") == Payment("A1", "au_1", 999, "", "ca_1", "re_1")
        assert await storage.find(db, "A2") == Payment("A2", "au_2", 999, "vo_2", "", "")
        assert await storage.find(db, "A3") is None
