"""The desk's two readers: dead letters, and the receipts that settle them."""

from typing import Any

from hocket import Tx
from hocket.clock import rfc3339
from hocket.console.facts import Aside, Heartbeat, Manifest, Receipt, Reported, read_facts
from hocket.console.webhook_facts import WebhookCounts, WebhookFact
from hocket.observe import Raw
from services.deadletters.keep.forgetting import forget
from services.deadletters.keep.letters import keep_receipts, restate, store
from services.deadletters.keep.reports import keep_aside, keep_desks, keep_service
from services.deadletters.keep.webhooks import keep_counts, keep_webhooks
from services.deadletters.read.letter import read
from services.deadletters.read.reports import receipt_of, report_of
from services.deadletters.service import Settings, deadletters


@deadletters.reads("dead")
async def take(letters: list[Raw], tx: Tx[Settings]) -> None:
    """Store each letter whole; one that is known already gets a second arrival (RULES 8.1)."""
    db = await tx.db()
    await deadletters.take_turn(db)
    now = rfc3339(tx.time)
    await restate(db, await store(db, [read(raw) for raw in letters], now))


@deadletters.reads("receipts")
async def settle(messages: list[Raw], tx: Tx[Settings]) -> None:
    """Store what settles letters (RULES 8.2) and what services report; set invalid facts aside."""
    facts: list[Reported] = []
    aside: list[Aside] = []
    for raw in messages:
        some, other = read_facts(raw.body, f"{raw.offset or 0:020d}")
        facts += some
        aside += other
    receipts: list[dict[str, Any]] = []
    for fact in facts:
        if isinstance(fact, Receipt):
            receipts += receipt_of(fact)
    reports = [fact for fact in facts if isinstance(fact, Manifest | Heartbeat)]
    hooks = [fact for fact in facts if isinstance(fact, WebhookFact)]
    counted = [fact for fact in facts if isinstance(fact, WebhookCounts)]
    if not (receipts or reports or aside or hooks or counted):
        return
    db = await tx.db()
    await deadletters.take_turn(db)
    for report in reports:
        await keep_service(db, *report_of(report, tx.time))
    desks = [each for each in reports if isinstance(each, Heartbeat) and each.service == deadletters.name]
    await keep_desks(db, deadletters.boot, desks, tx.time.timestamp())
    await keep_aside(db, aside)
    await keep_webhooks(db, hooks)
    await keep_counts(db, counted)
    if receipts:
        await restate(db, await keep_receipts(db, receipts))
    await forget(db, tx.use.keep, tx.time)
