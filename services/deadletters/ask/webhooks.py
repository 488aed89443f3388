"""Asks what webhooks services keep and refuse, by source and cause, and how pushes ended."""

from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from services.deadletters.keep.tables import webhook_counts, webhooks
from services.deadletters.keep.webhooks import OPEN

#: Groups and sources that one page shows.
MOST_GROUPS, MOST_SOURCES = 200, 200
#: Ends of pushes that are in custody.
TAKEN = ("said", "nothing", "seen", "twin", "kept")


@dataclass(frozen=True, slots=True)
class WebhookGroup:
    """Webhooks of one source that are open with one cause."""

    service: str
    source: str
    state: str
    cause: str
    many: int
    since: str
    last: str
    id: str  # of the newest
    error: str  # of the newest
    delivery: str

    @property
    def command(self) -> str:
        """What tries all of them again, or the newest sample of what was refused."""
        if self.state == "refused":
            skew = " --accept-skew" if self.cause == "skew" else ""
            return f"hocket webhooks retry {self.service} {self.id}{skew}"
        return f"hocket webhooks retry {self.service} --source {self.source} --cause {self.cause}"


@dataclass(slots=True)
class SourceEnds:
    """How the pushes of one source ended, as far as the desk has heard."""

    service: str
    source: str
    ends: dict[str, int] = field(default_factory=dict)
    last: str = ""

    @property
    def taken(self) -> int:
        """How many were answered 202."""
        return sum(self.ends.get(each, 0) for each in TAKEN)

    @property
    def refused(self) -> dict[str, int]:
        """The others, by their end."""
        return {end: many for end, many in sorted(self.ends.items()) if end not in TAKEN}


async def webhook_groups(db: AsyncConnection) -> list[WebhookGroup]:
    """What is open, kept ones first, then those that are open longest."""
    by = [webhooks.c[name] for name in ("service", "source", "state", "cause")]
    newest = sa.func.max(webhooks.c.id).label("id")  # ids are in order of time
    told = sa.select(
        *by, sa.func.count().label("many"), sa.func.min(webhooks.c.received_at).label("since"),
        sa.func.max(webhooks.c.received_at).label("last"), newest,
    ).where(webhooks.c.state.in_(OPEN)).group_by(*by).subquery()  # fmt: skip
    one = sa.and_(webhooks.c.service == told.c.service, webhooks.c.id == told.c.id)
    query = sa.select(told, webhooks.c.error, webhooks.c.delivery).join(webhooks, one)
    rows = await db.execute(query.order_by(told.c.state, told.c.since).limit(MOST_GROUPS))
    return [WebhookGroup(**row._mapping) for row in rows]


async def source_ends(db: AsyncConnection) -> list[SourceEnds]:
    """How pushes ended, by service and source."""
    names = [webhook_counts.c[name] for name in ("service", "source", "end")]
    many, last = sa.func.sum(webhook_counts.c.many), sa.func.max(webhook_counts.c.last_at)
    query = sa.select(*names, many, last).group_by(*names).order_by(*names)
    found: dict[tuple[str, str], SourceEnds] = {}
    for row in await db.execute(query):
        service, source, end, counted, at = tuple(row)
        if len(found) >= MOST_SOURCES and (service, source) not in found:
            break
        one = found.setdefault((service, source), SourceEnds(service, source))
        one.ends[end] = int(counted)
        one.last = max(one.last, at)
    return sorted(found.values(), key=lambda each: (each.source == "", each.service, each.source))
