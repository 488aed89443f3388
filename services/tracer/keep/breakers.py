"""Keeps the changes of breakers, each once, the newest of each breaker."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.facts import BreakerChange
from hocket.console.named_values import insert_into
from services.tracer.keep.tables import breaker_changes

#: Changes of one breaker that are kept, the newest.
MAX_CHANGES = 2_000


async def keep_changes(db: AsyncConnection, found: Sequence[BreakerChange], at: datetime) -> None:
    """Store changes that are new; a time that is ahead of ours counts as ours."""
    if not found:
        return
    rows = [
        {"service": each.service, "name": each.name, "time": min(each.time, at).timestamp(), "version": each.version,
         "fact": each.model_dump_json(exclude_defaults=True)}
        for each in found
    ]  # fmt: skip
    await db.execute(insert_into(db, breaker_changes).on_conflict_do_nothing(), rows)
    for service, name in sorted({(each.service, each.name) for each in found}):
        mine = (breaker_changes.c.service == service, breaker_changes.c.name == name)
        newest = select(breaker_changes.c.time).where(*mine).order_by(breaker_changes.c.time.desc())
        bound = await db.scalar(newest.offset(MAX_CHANGES).limit(1))
        if bound is not None:
            await db.execute(delete(breaker_changes).where(*mine, breaker_changes.c.time <= bound))


async def forget_changes(db: AsyncConnection, before: float) -> None:
    """Forget older changes than this moment, apart from the last of each breaker, which says how it stands."""
    last = (
        select(breaker_changes.c.service, breaker_changes.c.name, func.max(breaker_changes.c.time).label("time"))
        .group_by(breaker_changes.c.service, breaker_changes.c.name)
        .subquery()
    )
    mine = (breaker_changes.c.service == last.c.service, breaker_changes.c.name == last.c.name)
    newer = select(last.c.time).where(*mine).scalar_subquery()
    await db.execute(delete(breaker_changes).where(breaker_changes.c.time < before, breaker_changes.c.time < newer))
