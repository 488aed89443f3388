"""The two readers: facts in, facts kept, flows folded; in one transaction with the reader's offset (RULES 7.1)."""

import json

from pydantic import ValidationError

from hocket import Tx
from hocket.envelope import UNDO_TYPE, Envelope, decode
from hocket.errors import Undecodable
from hocket.observe import Raw
from services.tracer.keep import facts as storage
from services.tracer.keep.facts import Aside
from services.tracer.read.facts import Heartbeat, Manifest, Receipt, Reported, Said, reported
from services.tracer.service import Settings, tracer

#: Facts of one message of the receipts stream that are read; a kit that packs more is kept aside.
MAX_FACTS_PER_MESSAGE = 5_000


@tracer.reads("log")
async def read_log(batch: list[Raw], tx: Tx[Settings]) -> None:
    """Keep every event once, by (source, id) (RULES 1.7)."""
    said: list[Said] = []
    aside: list[Aside] = []
    for raw in batch:
        try:
            envelope = decode(raw.body, raw.content_type, raw.headers, tx.time)
        except Undecodable as error:
            aside.append(Aside("log", place_of(raw), str(error), raw.body))
            continue
        if envelope.type != UNDO_TYPE:
            said.append(said_of(envelope))
    db = await tx.db()
    await storage.take_turn(db)
    await storage.keep_events(db, said)
    await storage.keep_aside(db, aside)
    await storage.note_reading(db, "log", batch[-1].offset, max((each.time for each in said), default=None), tx.time)
    await storage.fold_stale(db)


@tracer.reads("receipts")
async def read_receipts(batch: list[Raw], tx: Tx[Settings]) -> None:
    """Keep every receipt once, each manifest by its content, the newest heartbeat of each instance."""
    facts: list[Reported] = []
    aside: list[Aside] = []
    for raw in batch:
        some, other = facts_of(raw)
        facts += some
        aside += other
    db = await tx.db()
    await storage.take_turn(db)
    await storage.keep_manifests(db, [each for each in facts if isinstance(each, Manifest)])
    await storage.keep_receipts(db, [each for each in facts if isinstance(each, Receipt)])
    await storage.keep_heartbeats(db, [each for each in facts if isinstance(each, Heartbeat)])
    await storage.keep_aside(db, aside)
    newest = max((each.time for each in facts), default=None)
    await storage.note_reading(db, "receipts", batch[-1].offset, newest, tx.time)
    await storage.fold_stale(db)


def said_of(envelope: Envelope) -> Said:
    """The tracer's fact of one envelope."""
    return Said(
        source=envelope.source, id=envelope.id, type=envelope.type, version=envelope.version, subject=envelope.subject,
        time=envelope.time, flow=envelope.correlation_id, cause=envelope.causation_id,
        data=json.dumps(envelope.data, ensure_ascii=False, separators=(",", ":")),
    )  # fmt: skip


def facts_of(raw: Raw) -> tuple[list[Reported], list[Aside]]:
    """The facts of one message, and what of it is not understood: one bad fact does not take its neighbours along."""
    try:
        found = json.loads(raw.body)
    except (ValueError, RecursionError) as error:
        return [], [Aside("receipts", place_of(raw), f"is no JSON: {error}", raw.body)]
    if not isinstance(found, list) or len(found) > MAX_FACTS_PER_MESSAGE:
        return [], [Aside("receipts", place_of(raw), "is no JSON array of facts, or one too long", raw.body)]
    facts: list[Reported] = []
    aside: list[Aside] = []
    for at, value in enumerate(found):
        try:
            facts.append(reported(value))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(str(each) for each in first['loc'])}: {first['msg']}"
            aside.append(Aside("receipts", f"{place_of(raw)}/{at}", why, json.dumps(value).encode()))
        except ValueError as error:
            aside.append(Aside("receipts", f"{place_of(raw)}/{at}", str(error), json.dumps(value).encode()))
    return facts, aside


def place_of(raw: Raw) -> str:
    """Where a message stands in its stream, as text that sorts like its offset."""
    return f"{raw.offset or 0:020d}"
