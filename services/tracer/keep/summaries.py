"""Folds the flows that changed into summaries: one row a flow, for lists and counts."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from services.tracer.fold.flow import Flow, fold
from services.tracer.keep.facts import expected_of, facts_of
from services.tracer.keep.tables import flows, insert_into

#: Flows folded in one transaction; the rest follows with the next batch. The page of one flow does not depend on it.
FOLD_LIMIT = 400


async def fold_stale(db: AsyncConnection) -> int:
    """Fold at most `FOLD_LIMIT` of the marked flows into their summaries; returns how many."""
    ids = list((await db.execute(select(flows.c.id).where(flows.c.stale).limit(FOLD_LIMIT))).scalars())
    if not ids:
        return 0
    expected = await expected_of(db)
    said, told = await facts_of(db, ids)
    rows = [_summary(fold(each, said.get(each, ()), told.get(each, ()), expected)) for each in ids]
    adding = insert_into(db, flows)
    fresh = {name: adding.excluded[name] for name in rows[0] if name != "id"}
    await db.execute(adding.on_conflict_do_update(index_elements=["id"], set_=fresh), rows)
    return len(ids)


def _summary(flow: Flow) -> dict[str, Any]:
    waiting = flow.waiting
    began, ended = flow.began, flow.ended
    return {
        "id": flow.id, "stale": False, "state": flow.state.value, "subject": flow.subject, "type": flow.type,
        "began": began.timestamp() if began else 0.0, "ended": ended.timestamp() if ended else 0.0,
        "waits": waiting[0].subscription if waiting else "",
        "since": waiting[0].since.timestamp() if waiting else 0.0,
        "dead": len(flow.dead), "events": len(flow.events),
    }  # fmt: skip
