"""The scores table."""

from datetime import UTC, datetime, timedelta, timezone

from services.scoring import storage
from services.scoring.domain import Score
from tests.services.databases import database

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_a_lead_has_one_score(address: str) -> None:
    """The later one stands in place of the one before; how often it was scored is counted, other leads stay."""
    async with database(storage.tables, address) as db:
        await storage.put(db, "lead/~a", Score(10, "cold"), delivery="d-1", updated_at=NOON)
        await storage.put(db, "lead/~b", Score(20, "cold"), delivery="d-2", updated_at=NOON)
        east = (NOON + timedelta(hours=1)).astimezone(timezone(timedelta(hours=2)))
        await storage.put(db, "lead/~a", Score(60, "hot"), delivery="d-3", updated_at=east)
        assert await storage.page(db, "", 10) == [
            storage.Scored("lead/~a", 60, "hot", "d-3", "2026-01-01T13:00:00.000000Z", 2),
            storage.Scored("lead/~b", 20, "cold", "d-2", "2026-01-01T12:00:00.000000Z", 1),
        ]


async def test_pages_meet_without_gap_or_double(address: str) -> None:
    """Following the subjects visits every lead once."""
    async with database(storage.tables, address) as db:
        for number in range(7):
            await storage.put(db, f"lead/~{number}", Score(10, "cold"), delivery="d", updated_at=NOON)
        seen, after = list[str](), ""
        while found := await storage.page(db, after, 3):
            seen += [each.lead for each in found]
            after = found[-1].lead
        assert seen == [f"lead/~{number}" for number in range(7)]
