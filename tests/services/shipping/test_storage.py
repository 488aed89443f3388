"""The parcels table."""

from services.shipping import storage
from services.shipping.storage import Parcel
from tests.services.databases import database


async def test_a_parcel_arrives_once_and_not_after_it_was_called_back(address: str) -> None:
    """A recall of a parcel that was never noted leaves no row; one that arrived can still be called back."""
    async with database(storage.tables, address) as db:
        for number in (1, 2):
            await storage.note_parcel(db, f"A{number}", f"pa_{number}", "f")
        assert [await storage.note_delivery(db, "A1") for _ in range(2)] == [True, False]
        await storage.note_recall(db, "A1")
        await storage.note_recall(db, "A2")
        await storage.note_recall(db, "A3")
        assert not await storage.note_delivery(db, "A2")
        assert await storage.find(db, "A1") == Parcel("A1", "pa_1", "f", delivered=True, recalled=True)
        assert await storage.find(db, "A2") == Parcel("A2", "pa_2", "f", delivered=False, recalled=True)
        assert await storage.find(db, "A3") is None
