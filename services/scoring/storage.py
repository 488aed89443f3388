"""The score of each lead as it stands; a lead is known by its subject, so no address is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from services.scoring.domain import Score

tables = MetaData()
scores = Table(
    "scores",
    tables,
    Column("lead", String, primary_key=True),  # the subject: `lead/` and a pseudonym
    Column("points", Integer, nullable=False),
    Column("grade", String, nullable=False),
    Column("delivery", String, nullable=False),  # the one that it was scored by
    Column("updated_at", String, nullable=False),  # by the sender's clock; RFC 3339, UTC
    Column("times", Integer, nullable=False),  # how often it was scored
)


@dataclass(frozen=True, slots=True)
class Scored:
    """The score of one lead."""

    lead: str
    points: int
    grade: str
    delivery: str
    updated_at: str
    times: int


async def put(db: AsyncConnection, lead: str, score: Score, *, delivery: str, updated_at: datetime) -> None:
    """Write down the score of a lead in place of the one before."""
    values = {"points": score.points, "grade": score.grade, "delivery": delivery, "updated_at": _rfc3339(updated_at)}
    again = update(scores).where(scores.c.lead == lead).values(**values, times=scores.c.times + 1)
    if not (await db.execute(again)).rowcount:
        await db.execute(insert(scores).values(lead=lead, times=1, **values))


async def page(db: AsyncConnection, after: str, limit: int) -> Sequence[Scored]:
    """At most `limit` scores of leads behind `after`, in the order of their subjects."""
    rows = await db.execute(select(scores).where(scores.c.lead > after).order_by(scores.c.lead).limit(limit))
    return [Scored(**row._mapping) for row in rows]


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
