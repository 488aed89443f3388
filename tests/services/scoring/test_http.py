"""Scores over real HTTP."""

from datetime import UTC, datetime
from pathlib import Path

from services.scoring import scoring, storage
from services.scoring.domain import Score
from tests.services.running_service import serving

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


async def test_scores_are_read_in_pages(tmp_path: Path) -> None:
    """Each lead by its subject, without an address; a page that cannot be is 422."""
    async with serving(scoring, tmp_path) as http:
        async with scoring.tx() as tx:
            for name in ("~a", "~b", "~c"):
                await storage.put(await tx.db(), f"lead/{name}", Score(60, "hot"), delivery="d", updated_at=NOON)
        async with http.get("/scores?limit=2") as answer:
            page = await answer.json()
        assert [each["lead"] for each in page["scores"]] == ["lead/~a", "lead/~b"]
        assert page["scores"][0] == {
            "lead": "lead/~a", "points": 60, "grade": "hot", "delivery": "d", "times": 1,
            "updated_at": "2026-01-01T12:00:00.000000Z",
        }  # fmt: skip
        async with http.get("/scores", params={"limit": 2, "after": page["next"]}) as answer:
            assert await answer.json() == {"scores": [{**page["scores"][0], "lead": "lead/~c"}], "next": None}
        async with http.get("/scores?limit=0") as answer:
            assert answer.status == 422
