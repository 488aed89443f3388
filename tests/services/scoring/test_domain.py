"""How many points a lead has."""

from datetime import UTC, datetime

import pytest

from services.scoring.domain import Score, score_of
from services.scoring.events import LeadCaptured


def lead(campaign: str = "", orders: int = 0, cents: int = 0) -> LeadCaptured:
    """A lead with these facts."""
    return LeadCaptured(
        email="ada@example.com", campaign=campaign, delivery="d-1", updated_at=datetime(2026, 1, 1, tzinfo=UTC),
        orders_count=orders, spent_cents=cents,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("seen", "score"),
    [
        (lead(), Score(10, "cold")),
        (lead("spring"), Score(20, "cold")),
        (lead("spring", orders=2), Score(30, "warm")),
        (lead("spring", orders=2, cents=29_999), Score(59, "warm")),
        (lead("spring", orders=2, cents=30_000), Score(60, "hot")),
        (lead("spring", orders=10**6, cents=10**9), Score(100, "hot")),
    ],
)
def test_a_score_counts_campaign_orders_and_money(seen: LeadCaptured, score: Score) -> None:
    """Each up to its bound, 100 in all; the grade by the points."""
    assert score_of(seen) == score
