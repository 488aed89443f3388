"""The desk's two readers: dead letters, and the receipts that settle them."""

from typing import Any

from hocket import Tx
from hocket.clock import rfc3339
from hocket.observe import Raw
from services.deadletters.keep.letters import keep_receipts, keep_service, restate, store
from services.deadletters.read.letter import read
from services.deadletters.read.reports import facts, receipt_of, report_of
from services.deadletters.service import deadletters


@deadletters.reads("dead")
async def take(letters: list[Raw], tx: Tx) -> None:
    """Store each letter whole; one that is known already gets a second arrival (RULES 8.1)."""
    db = await tx.db()
    await deadletters.take_turn(db)
    now = rfc3339(tx.time)
    await restate(db, await store(db, [read(raw) for raw in letters], now))


@deadletters.reads("receipts")
async def settle(messages: list[Raw], tx: Tx) -> None:
    """Store what settles letters (RULES 8.2), owners, sensitive fields, and the state of breakers."""
    receipts: list[dict[str, Any]] = []
    reports: list[tuple[str, dict[str, Any], str]] = []
    for fact in facts(messages):
        if fact.get("kind") == "receipt":
            receipts += receipt_of(fact)
        else:
            reports += report_of(fact)
    if not receipts and not reports:
        return
    db = await tx.db()
    await deadletters.take_turn(db)
    for service, values, at in reports:
        await keep_service(db, service, values, at)
    if receipts:
        await restate(db, await keep_receipts(db, receipts))
