"""How the tracer itself stands, by the clock: what it has read of each stream, how much a stream holds."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.ask.services import GONE
from services.tracer.keep.tables import aside, hours, readings, turning, unfolded
from services.tracer.read.facts import utc

#: Rows that are counted of what is set aside and of flows to be folded.
MAX_COUNTED = 10_000
#: Hours of reading from which it is worked out how fast a stream fills.
RATE_HOURS = 24
#: Part of what a stream holds; a reader further behind is in danger of losing facts (RULES 7.2).
ALARM = 0.5


class Bounds(NamedTuple):
    """What a stream holds at most."""

    hours: float
    bytes: float


class StreamSeen(NamedTuple):
    """One stream: hours that it holds at the rate of the last day, and seconds that its reader is behind."""

    name: str
    holds: float
    behind: float
    facts: int  # read within the last seven days

    @property
    def alarm(self) -> bool:
        """Whether the reader may lose facts."""
        return self.behind > self.holds * 3600 * ALARM


class Own(NamedTuple):
    """The state of the tracer itself."""

    behind: float | None  # seconds since the newest fact that was read; None before the first
    read_at: datetime | None  # when anything was last read
    streams: list[StreamSeen]
    aside: int
    unfolded: int  # flows whose summary waits to be folded
    deaf: bool = False  # it has read nothing for three heartbeats, its own included


async def own_state(db: AsyncConnection, now: datetime, bounds: Bounds) -> Own:
    """How far the tracer is behind by the clock, what the streams hold, what it set aside.

    Every service sends a heartbeat each ten seconds, the tracer too: the newest fact of the receipts is never much
    older than that while broker, link and reader work. The log has no heartbeats, and an event may be of an earlier
    time: of it only how late the newest was read is told, beside how much the stream holds.
    """
    rows = {each["stream"]: each for each in (await db.execute(select(readings))).mappings()}
    clock = now.timestamp()
    at = max((each["at"] for each in rows.values()), default=None)
    behind = {
        name: max(0.0, (clock if name == "receipts" else each["at"]) - each["time"])
        for name, each in rows.items()
        if each["time"] and (name == "receipts" or clock - each["at"] < GONE.total_seconds())
    }
    streams = [await _stream(db, name, bounds, behind.get(name, 0.0)) for name in sorted(rows)]
    few = [
        int(await db.scalar(select(func.count()).select_from(select(column).limit(MAX_COUNTED).subquery())) or 0)
        for column in (aside.c.place, unfolded.c.flow)
    ]
    deaf = at is not None and clock - at > GONE.total_seconds()
    late = behind.get("receipts", max(behind.values(), default=None))
    return Own(late, utc(at) if at else None, streams, few[0], few[1], deaf)


async def waiting_to_be_folded(db: AsyncConnection, now: datetime) -> bool:
    """Whether a flow has facts that its summary does not have yet, or an undo that is late by now (RULES 5.8)."""
    late = select(turning.c.flow).where(turning.c.at < now.timestamp()).limit(1)
    return any([await db.scalar(query) is not None for query in (select(unfolded.c.flow).limit(1), late)])


async def _stream(db: AsyncConnection, name: str, bounds: Bounds, behind: float) -> StreamSeen:
    rows = await db.execute(select(hours).where(hours.c.stream == name).order_by(hours.c.hour.desc()))
    found = list(rows.mappings())
    last = found[:RATE_HOURS]
    spent = last[0]["hour"] - last[-1]["hour"] + 1 if last else 1
    an_hour = sum(each["bytes"] for each in last) / spent
    holds = min(bounds.hours, bounds.bytes / an_hour) if an_hour else bounds.hours
    return StreamSeen(name, holds, behind, sum(each["facts"] for each in found))
