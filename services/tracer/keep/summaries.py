"""Folds the flows that changed into summaries, one row a flow, and keeps the counts of the overview with them."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console.named_values import insert_into
from services.tracer.fold.beyond import Beyond
from services.tracer.fold.flow import Flow, FlowState, fold
from services.tracer.keep.declared import budgets_of, expected_of
from services.tracer.keep.facts import facts_of
from services.tracer.keep.tables import counts, flows, turning, unfolded, waits

#: Flows folded in one transaction; the rest follows with the next batch. The page of one flow does not depend on it.
FOLD_LIMIT = 400
#: States in which a flow has ended; they are counted by the minute of their end.
ENDED = frozenset({FlowState.DONE, FlowState.COMPENSATED, FlowState.DISCARDED, FlowState.FAILED})
#: The count of flows that are no zombie and have a dead letter; `needs` of such a row, and of a zombie's.
DEAD = "dead"
NEEDS_ZOMBIE, NEEDS_DEAD = 1, 2
#: How the counts of flows that wait for a subscription begin; subscriptions of one flow that are counted.
WAITS, MAX_WAITS = "waits ", 100

Key = tuple[str, int]


async def fold_unfolded(db: AsyncConnection, now: datetime, before: datetime | None = None) -> int:
    """Fold at most `FOLD_LIMIT` flows, those that wait longest first; returns how many.

    Flows whose undo is late by `now` are folded too, though nothing of them was read (RULES 5.8). With `before` only
    flows of which nothing was read since then: what is still under way is not folded at each fact.
    """
    await db.execute(
        insert_into(db, unfolded)
        .from_select(["flow", "at"], select(turning.c.flow, turning.c.at).where(turning.c.at < now.timestamp()))
        .on_conflict_do_nothing()
    )
    query = select(unfolded.c.flow)
    if before is not None:
        query = query.where(unfolded.c.at <= before.timestamp())
    ids = list((await db.execute(query.order_by(unfolded.c.at).limit(FOLD_LIMIT))).scalars())
    if not ids:
        return 0
    expected, budgets = await expected_of(db), await budgets_of(db)
    facts = await facts_of(db, ids, payloads=False)
    folded = [
        fold(
            id, found.said, found.told, expected, left_out=found.left_out, beyond=Beyond(found.reached_by, budgets, now)
        )
        for id, found in facts.items()
    ]
    rows = [_summary(each) for each in folded]
    old = (await db.execute(select(flows).where(flows.c.id.in_(ids)))).mappings().all()
    change = Counter(key for row in rows for key in counted(row))
    change.subtract(key for row in old for key in counted(row))
    adding = insert_into(db, flows)
    fresh = {name: adding.excluded[name] for name in rows[0] if name != "id"}
    await db.execute(adding.on_conflict_do_update(index_elements=["id"], set_=fresh), rows)
    change.update(await _keep_waits(db, folded))
    await count(db, change)
    await db.execute(delete(unfolded).where(unfolded.c.flow.in_(ids)))
    await db.execute(delete(turning).where(turning.c.flow.in_(ids)))
    later = [{"flow": each.id, "at": each.turns.timestamp()} for each in folded if each.turns and each.turns >= now]
    if later:
        await db.execute(insert_into(db, turning), later)
    return len(ids)


async def _keep_waits(db: AsyncConnection, folded: Sequence[Flow]) -> Counter[Key]:
    """Keep which subscriptions each flow waits for; by how much the counts change."""
    ids = [each.id for each in folded]
    rows = await db.execute(select(waits.c.flow, waits.c.subscription).where(waits.c.flow.in_(ids)))
    old = {(row.flow, row.subscription) for row in rows}
    new = {(each.id, one.subscription) for each in folded for one in each.waiting[:MAX_WAITS]}
    over: dict[str, list[str]] = {}
    for flow, subscription in sorted(old - new):
        over.setdefault(subscription, []).append(flow)
    for subscription, flows_ in over.items():
        await db.execute(delete(waits).where(waits.c.subscription == subscription, waits.c.flow.in_(flows_)))
    begun = [{"flow": flow, "subscription": subscription} for flow, subscription in sorted(new - old)]
    if begun:
        await db.execute(insert_into(db, waits), begun)
    change = Counter((waiting_key(subscription), 0) for _, subscription in new)
    change.subtract((waiting_key(subscription), 0) for _, subscription in old)
    return change


async def forget_waits(db: AsyncConnection, ids: Sequence[str]) -> Counter[Key]:
    """Forget what these flows wait for; by how much the counts change."""
    gone = select(waits.c.subscription).where(waits.c.flow.in_(ids))
    many = Counter((waiting_key(each), 0) for each in (await db.execute(gone)).scalars())
    await db.execute(delete(waits).where(waits.c.flow.in_(ids)))
    return Counter({key: -number for key, number in many.items()})


def waiting_key(subscription: str) -> str:
    """The name of the count of flows that wait for a subscription."""
    return f"{WAITS}{subscription}"


def counted(row: Any) -> list[Key]:
    """The counts that a summary is in: its state, and the dead letters."""
    if not row["events"]:
        return []
    minute = int(row["ended"] // 60) if row["state"] in ENDED else 0
    return [(row["state"], minute), *([(DEAD, 0)] if row["needs"] == NEEDS_DEAD else [])]


async def count(db: AsyncConnection, change: Counter[Key]) -> None:
    """Add to the kept counts."""
    rows = [{"state": state, "minute": minute, "many": many} for (state, minute), many in change.items() if many]
    if rows:
        adding = insert_into(db, counts)
        many = counts.c.many + adding.excluded.many
        await db.execute(adding.on_conflict_do_update(index_elements=["state", "minute"], set_={"many": many}), rows)


def waits_for(flow: Flow) -> tuple[str, datetime | None]:
    """The subscription that a flow waits for first, and since when: the oldest open delivery, else a time-out."""
    if flow.waiting:
        return flow.waiting[0].subscription, flow.waiting[0].since
    return (flow.armed[0].subscription, flow.armed[0].since) if flow.armed else ("", None)


def _summary(flow: Flow) -> dict[str, Any]:
    waits, since = waits_for(flow)
    began, ended = flow.began, flow.ended
    needs = NEEDS_ZOMBIE if flow.state is FlowState.ZOMBIE else NEEDS_DEAD if flow.dead else 0
    return {
        "id": flow.id, "state": flow.state.value, "subject": flow.subject, "type": flow.type,
        "began": began.timestamp() if began else 0.0, "ended": ended.timestamp() if ended else 0.0,
        "waits": waits, "since": since.timestamp() if since else 0.0,
        "dead": len(flow.dead), "events": len(flow.events), "needs": needs,
    }  # fmt: skip
