"""The two readers: each stores the facts of a batch and folds the flows they concern.

Both happen in one transaction with the reader's offset (RULES 7.1).
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from hocket import Tx
from hocket.console.drift_facts import Drifted
from hocket.console.facts import Aside, BreakerChange, Heartbeat, Manifest, Receipt, Reported, Retired, read_facts
from hocket.envelope import MARKER_TYPE, UNDO_TYPE, decode
from hocket.errors import Undecodable
from hocket.observe import Raw
from services.tracer.keep.breakers import keep_changes
from services.tracer.keep.declared import keep_manifests
from services.tracer.keep.drift import keep_drift
from services.tracer.keep.facts import keep_aside, keep_events, keep_heartbeats, keep_receipts
from services.tracer.keep.forgetting import forget
from services.tracer.keep.readings import note_reading, note_size
from services.tracer.keep.retired import keep_retired, return_heard
from services.tracer.keep.summaries import fold_unfolded
from services.tracer.read.decode import place_of, said_of
from services.tracer.read.facts import Said
from services.tracer.service import Settings, tracer

#: From so many facts in a batch on the reader has more to do than it can: only flows that were quiet for `QUIET` are
#: folded, so that a flow is folded once and not at each of its facts.
BUSY, QUIET = 200, timedelta(seconds=1)


@tracer.reads("log")
async def read_log(batch: list[Raw], tx: Tx[Settings]) -> None:
    """Store every event once, by (source, id) (RULES 1.7)."""
    said: list[Said] = []
    aside: list[Aside] = []
    for raw in batch:
        try:
            envelope = decode(raw.body, raw.content_type, raw.headers, tx.time)
        except Undecodable as error:
            aside.append(Aside(place_of(raw), str(error), raw.body))
            continue
        if envelope.type not in {UNDO_TYPE, MARKER_TYPE}:
            said.append(said_of(envelope))
    db = await tx.db()
    await tracer.take_turn(db)
    await keep_events(db, said, tx.time)
    await keep_aside(db, "log", aside)
    await _end(db, "log", batch, [each.time for each in said], tx)


@tracer.reads("receipts")
async def read_receipts(batch: list[Raw], tx: Tx[Settings]) -> None:
    """Store receipts and changes of breakers once, manifests by content, the newest heartbeats, who is retired."""
    facts: list[Reported] = []
    aside: list[Aside] = []
    for raw in batch:
        some, other = read_facts(raw.body, place_of(raw))
        facts += some
        aside += other
    db = await tx.db()
    await tracer.take_turn(db)
    await keep_manifests(db, [each for each in facts if isinstance(each, Manifest)], tx.time)
    await keep_receipts(db, [each for each in facts if isinstance(each, Receipt)], tx.time)
    await keep_changes(db, [each for each in facts if isinstance(each, BreakerChange)], tx.time)
    await keep_drift(db, [each for each in facts if isinstance(each, Drifted)], tx.time)
    beats = [each for each in facts if isinstance(each, Heartbeat)]
    await keep_heartbeats(db, beats, tx.time)
    await return_heard(db, beats, tx.time)
    await keep_retired(db, [each for each in facts if isinstance(each, Retired)], tx.time)
    await keep_aside(db, "receipts", aside)
    await _end(db, "receipts", batch, [each.time for each in facts], tx)


async def _end(
    db: AsyncConnection, stream: str, batch: Sequence[Raw], times: Sequence[datetime], tx: Tx[Settings]
) -> None:
    """What both do after their facts are stored: note the progress, fold, forget."""
    newest = max(times, default=None)
    await note_reading(db, stream, batch[-1].offset, newest, tx.time)
    await note_size(db, stream, [len(raw.body) for raw in batch], len(times), newest, tx.time)
    await fold_unfolded(db, tx.time, tx.time - QUIET if len(times) >= BUSY else None)
    await forget(db, tx.use.keep, tx.time)
