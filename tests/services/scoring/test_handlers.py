"""Scoring through the whole service: the newest by the sender's clock decides, in any order of arrival."""

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hocket.testing import play
from services.scoring import scoring, storage
from services.scoring.events import LeadCaptured, LeadScored

#: Before the clock of a stage begins: a moment that has not come would not be compared.
NOON = datetime(2025, 1, 1, 12, tzinfo=UTC)


def edition(number: int) -> LeadCaptured:
    """One of several that a shop tells of the same person; a higher one is the newer."""
    return LeadCaptured(
        email="ada@example.com", campaign="", delivery=f"d-{number}", updated_at=NOON + number * timedelta(minutes=1),
        orders_count=number,
    )  # fmt: skip


async def told(arrival: tuple[int, ...]) -> tuple[list[storage.Scored], Any]:
    """The scores, and the deliveries that were scored, after these editions came in this order."""
    async with play(scoring) as stage:
        for number in arrival:
            await stage.hear(edition(number), subject="lead/~ada", key=f"k-{number}")
            await stage.quiet()
        async with scoring.tx() as tx:
            found = await storage.page(await tx.read(), "", 10)
        assert not list(stage.dead)
        return list(found), [each.delivery for each in stage.said_of(LeadScored)]


@pytest.mark.parametrize("arrival", list(itertools.permutations((1, 2, 3))), ids=str)
async def test_the_newest_decides_in_any_order_of_arrival(arrival: tuple[int, ...]) -> None:
    """RULES 15.1: what is older than what was scored is stale: no run, nothing said, the score stays."""
    [score], said = await told(arrival)
    newest = [number for place, number in enumerate(arrival) if number == max(arrival[: place + 1])]
    assert (score.lead, score.delivery, score.points, score.times) == ("lead/~ada", "d-3", 25, len(newest))
    assert said == [f"d-{number}" for number in newest]


async def test_what_comes_twice_is_scored_once() -> None:
    """The same delivery again is the same event, and a duplicate."""
    [score], said = await told((1, 1, 2, 2, 1))
    assert (score.delivery, score.times, said) == ("d-2", 2, ["d-1", "d-2"])
