"""Forgets flows whose time is over, in bounded steps; what still needs somebody is kept longer."""

from collections import Counter
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.named_values import set_value, value_of
from services.tracer.keep.breakers import forget_changes
from services.tracer.keep.drift import forget_drift
from services.tracer.keep.readings import HOURS
from services.tracer.keep.summaries import ENDED, count, counted, forget_waits
from services.tracer.keep.tables import (
    counts,
    events,
    flows,
    heartbeats,
    hours,
    marks,
    reaches,
    receipts,
    turning,
    unfolded,
)

#: Flows, and receipts without a flow, that one step forgets; seconds between two looks once nothing is left to forget.
STEP, LOOK_SECONDS = 200, 60.0
#: The row of `marks` with the moment of the last look that found nothing more.
FORGOTTEN = "forgotten"


class Keep(NamedTuple):
    """How long flows are kept after their last fact: those that have ended, and all others."""

    ended: timedelta
    open: timedelta


async def forget(db: AsyncConnection, keep: Keep, at: datetime) -> int:
    """One step of forgetting, where it is time for one; returns how many flows are gone."""
    now = at.timestamp()
    if now - float(await value_of(db, marks, FORGOTTEN) or 0) < LOOK_SECONDS:
        return 0
    over = (at - keep.ended).timestamp()
    old = or_(and_(flows.c.state.in_(ENDED), flows.c.ended < over), flows.c.ended < (at - keep.open).timestamp())
    rows = (await db.execute(select(flows).where(old).order_by(flows.c.ended).limit(STEP))).mappings().all()
    ids = [row["id"] for row in rows]
    if ids:
        for column in (*(table.c.flow for table in (events, receipts, reaches, turning, unfolded)), flows.c.id):
            await db.execute(delete(column.table).where(column.in_(ids)))
        change = Counter(key for row in rows for key in counted(row))
        gone = Counter({key: -many for key, many in change.items()})
        gone.update(await forget_waits(db, ids))
        await count(db, gone)
    lonely = select(receipts.c.time).where(receipts.c.flow == "", receipts.c.time < over).order_by(receipts.c.time)
    bound = await db.scalar(lonely.offset(STEP).limit(1))
    until = min(over, bound) if bound is not None else over
    await db.execute(delete(receipts).where(receipts.c.flow == "", receipts.c.time < until))
    if len(ids) < STEP and bound is None:
        await db.execute(delete(heartbeats).where(heartbeats.c.time < over))
        await forget_changes(db, over)
        await forget_drift(db, over, (at - keep.open).timestamp())
        await db.execute(delete(counts).where(counts.c.many == 0, counts.c.minute > 0))
        await db.execute(delete(hours).where(hours.c.hour < int(now // 3600) - HOURS))
        await set_value(db, marks, FORGOTTEN, repr(now))
    return len(ids)
