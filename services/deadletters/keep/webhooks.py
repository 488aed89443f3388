"""Keeps what services tell of their webhooks: those that were kept or refused, and how pushes ended, in any order."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import rfc3339
from hocket.console.webhook_facts import WebhookCounts, WebhookFact
from services.deadletters.keep.tables import webhook_counts, webhooks
from services.deadletters.read.letter import MAX_ERROR, text

#: States that wait for a person; samples of refused ones stay as long as their service keeps them.
OPEN = ("kept", "refused")
SAMPLES_STAY = timedelta(days=7)
#: Rows that one step forgets.
STEP = 200


async def keep_webhooks(db: AsyncConnection, facts: Sequence[WebhookFact]) -> None:
    """The newest of each; one that is settled stays so, whatever is said later of it (RULES 7.4)."""
    for fact in facts:
        values = {
            "state": text(fact.state), "cause": text(fact.cause), "error": text(fact.error, MAX_ERROR),
            "source": text(fact.source), "delivery": text(fact.delivery), "flow": text(fact.correlationid),
            "received_at": rfc3339(fact.received), "told_at": rfc3339(fact.time),
        }  # fmt: skip
        mine = sa.and_(webhooks.c.service == text(fact.service), webhooks.c.id == text(fact.id))
        known = (await db.execute(sa.select(webhooks.c.state, webhooks.c.told_at).where(mine))).first()
        if known is None:
            await db.execute(webhooks.insert().values(service=text(fact.service), id=text(fact.id), **values))
        elif _is_newer(values["state"], values["told_at"], known.state, known.told_at):
            await db.execute(webhooks.update().where(mine).values(**values))


def _is_newer(state: str, told_at: str, known_state: str, known_at: str) -> bool:
    """A settled one goes before an open one; of two alike the later, of two at one moment by their words."""
    mine, theirs = (state not in OPEN, told_at, state), (known_state not in OPEN, known_at, known_state)
    return mine > theirs


async def keep_counts(db: AsyncConnection, facts: Sequence[WebhookCounts]) -> None:
    """The greatest count of each process: each fact tells all of it."""
    for fact in facts:
        for source, ends in fact.counts.items():
            for end, many in ends.items():
                names = {"service": text(fact.service), "boot": text(fact.boot), "source": text(source)}
                names["end"] = text(end)
                mine = sa.and_(*(webhook_counts.c[name] == value for name, value in names.items()))
                last = rfc3339(fact.last.get(source, {}).get(end, fact.time))
                known = (await db.execute(sa.select(webhook_counts.c.many).where(mine))).first()
                if known is None:
                    await db.execute(webhook_counts.insert().values(**names, many=many, last_at=last))
                elif known.many < many:
                    await db.execute(webhook_counts.update().where(mine).values(many=many, last_at=last))


async def forget_webhooks(db: AsyncConnection, keep: timedelta, at: datetime) -> int:
    """One step of forgetting: what is settled and old, samples after their time, counts of processes long gone."""
    over = sa.and_(webhooks.c.state.not_in(OPEN), webhooks.c.told_at < rfc3339(at - keep))
    sample = sa.and_(webhooks.c.state == "refused", webhooks.c.told_at < rfc3339(at - SAMPLES_STAY))
    key = sa.tuple_(webhooks.c.service, webhooks.c.id)
    old = sa.select(webhooks.c.service, webhooks.c.id).where(sa.or_(over, sample)).limit(STEP)
    found = [tuple(row) for row in await db.execute(old)]
    if found:
        await db.execute(webhooks.delete().where(key.in_(found)))
    await db.execute(webhook_counts.delete().where(webhook_counts.c.last_at < rfc3339(at - keep)))
    return len(found)
