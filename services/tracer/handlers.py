"""The two readers: each stores the facts of a batch and folds the flows they concern.

Both happen in one transaction with the reader's offset (RULES 7.1).
"""

from hocket import Tx
from hocket.envelope import UNDO_TYPE, decode
from hocket.errors import Undecodable
from hocket.observe import Raw
from services.tracer.keep.facts import (
    keep_aside,
    keep_events,
    keep_heartbeats,
    keep_manifests,
    keep_receipts,
    note_reading,
)
from services.tracer.keep.summaries import fold_stale
from services.tracer.read.decode import Aside, facts_of, place_of, said_of
from services.tracer.read.facts import Heartbeat, Manifest, Receipt, Reported, Said
from services.tracer.service import Settings, tracer


@tracer.reads("log")
async def read_log(batch: list[Raw], tx: Tx[Settings]) -> None:
    """Store every event once, by (source, id) (RULES 1.7)."""
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
    await tracer.take_turn(db)
    await keep_events(db, said)
    await keep_aside(db, aside)
    await note_reading(db, "log", batch[-1].offset, max((each.time for each in said), default=None), tx.time)
    await fold_stale(db)


@tracer.reads("receipts")
async def read_receipts(batch: list[Raw], tx: Tx[Settings]) -> None:
    """Store every receipt once, each manifest by its content, and the newest heartbeat of each instance."""
    facts: list[Reported] = []
    aside: list[Aside] = []
    for raw in batch:
        some, other = facts_of(raw)
        facts += some
        aside += other
    db = await tx.db()
    await tracer.take_turn(db)
    await keep_manifests(db, [each for each in facts if isinstance(each, Manifest)])
    await keep_receipts(db, [each for each in facts if isinstance(each, Receipt)])
    await keep_heartbeats(db, [each for each in facts if isinstance(each, Heartbeat)])
    await keep_aside(db, aside)
    newest = max((each.time for each in facts), default=None)
    await note_reading(db, "receipts", batch[-1].offset, newest, tx.time)
    await fold_stale(db)
