"""Forgets letters that were settled long ago, in bounded steps; one that waits for a person is never forgotten."""

from collections import Counter
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from hocket.console.named_values import set_value, value_of
from services.deadletters.fold.state import OPEN
from services.deadletters.keep.counting import count
from services.deadletters.keep.tables import acts, arrivals, desks, letters, marks, receipts
from services.deadletters.keep.webhooks import forget_webhooks

#: Letters, and receipts without a letter, that one step forgets; seconds between two looks once nothing is left.
STEP, LOOK_SECONDS = 200, 60.0
#: The row of `marks` with the moment of the last look that found nothing more.
FORGOTTEN = "forgotten"


async def forget(db: AsyncConnection, keep: timedelta, at: datetime) -> int:
    """One step of forgetting, where it is time for one; returns how many letters are gone."""
    now = at.timestamp()
    if now - float(await value_of(db, marks, FORGOTTEN) or 0) < LOOK_SECONDS:
        return 0
    over = rfc3339(at - keep)
    old = sa.select(letters.c.id, letters.c.state, letters.c.event_id).where(
        letters.c.state.not_in(OPEN), letters.c.last_at < over
    )
    rows = list(await db.execute(old.order_by(letters.c.last_at).limit(STEP)))
    if rows:
        ids = [row.id for row in rows]
        for table, column in ((arrivals, "letter"), (acts, "letter"), (letters, "id")):
            await db.execute(table.delete().where(table.c[column].in_(ids)))
        await count(db, Counter({state: -many for state, many in Counter(row.state for row in rows).items()}))
    lonely = ~sa.exists().where(letters.c.event_id == receipts.c.event_id)
    key = sa.tuple_(*receipts.primary_key.columns)
    gone = sa.select(*receipts.primary_key.columns).where(receipts.c.time < over, lonely).limit(STEP)
    found = [tuple(row) for row in await db.execute(gone)]
    if found:
        await db.execute(receipts.delete().where(key.in_(found)))
    gone_hooks = await forget_webhooks(db, keep, at)
    if len(rows) < STEP and len(found) < STEP and gone_hooks < STEP:
        await db.execute(desks.delete().where(desks.c.last_at < now - keep.total_seconds()))
        await set_value(db, marks, FORGOTTEN, repr(now))
    return len(rows)
