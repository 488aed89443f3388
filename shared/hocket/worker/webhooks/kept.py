"""The rows of kept and refused webhooks: written, asked for, settled, forgotten; for every database alike."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.store.port import Store
from hocket.store.tables.webhooks import WEBHOOKS
from hocket.worker.webhooks.ends import State

#: Samples of refused pushes: most of one source in an hour, bytes of each, bytes of all, and seconds that they stay.
SAMPLES_AN_HOUR = 20
SAMPLE_BYTES = 64 * 1024
ALL_SAMPLES_BYTES = 64 * 1024 * 1024
SAMPLE_SECONDS = 7 * 86_400.0
#: Samples that one statement removes where all of them are too many.
DROPPED_AT_ONCE = 50
#: Most rows of one list.
MOST_ROWS = 1000

_OPEN = (State.KEPT.value, State.REFUSED.value)


class KeptRow(NamedTuple):
    """One row of `hocket_webhooks`; see there."""

    id: str
    source: str
    delivery: str
    state: str
    cause: str
    error: str
    correlation_id: str
    key: bytes
    body_hash: bytes
    body: bytes
    size: int
    headers: str
    hidden: str
    skew: float
    secret: int
    asked: int
    note: str
    received: float
    updated: float

    @property
    def header_map(self) -> Mapping[str, str]:
        """The headers that were kept."""
        found: Mapping[str, str] = json.loads(self.headers)
        return found

    @property
    def whole(self) -> bool:
        """Whether the body is here whole; that of a sample may be cut."""
        return len(self.body) == self.size


_COLUMNS = [WEBHOOKS.c[name] for name in KeptRow._fields]


class Waits(NamedTuple):
    """How many rows of one source are open, and since when, in seconds since 1970."""

    kept: int
    since: float


async def one(db: AsyncConnection, id: str) -> KeptRow | None:
    """The row of this id; a beginning of it will do where no other row begins so."""
    prefix = id.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    query = sa.select(*_COLUMNS).where(WEBHOOKS.c.id.like(f"{prefix}%", escape="\\")).limit(2)
    found = (await db.execute(query)).all()
    return KeptRow(*found[0]) if len(found) == 1 else None


async def same(db: AsyncConnection, key: bytes, body_hash: bytes) -> KeptRow | None:
    """The row of this push, where it was kept before."""
    query = sa.select(*_COLUMNS).where(WEBHOOKS.c.key == key, WEBHOOKS.c.body_hash == body_hash)
    found = (await db.execute(query)).first()
    return KeptRow(*found) if found is not None else None


async def listed(db: AsyncConnection, source: str, cause: str, state: str, limit: int) -> Sequence[Mapping[str, Any]]:
    """Rows without their bodies, the newest first; an empty `state`: those that are open."""
    names = [name for name in KeptRow._fields if name not in {"body", "key", "body_hash", "headers", "hidden"}]
    query = sa.select(*(WEBHOOKS.c[name] for name in names)).order_by(WEBHOOKS.c.received.desc(), WEBHOOKS.c.id)
    query = query.where(WEBHOOKS.c.state.in_(_OPEN) if not state else WEBHOOKS.c.state == state)
    if source:
        query = query.where(WEBHOOKS.c.source == source)
    if cause:
        query = query.where(WEBHOOKS.c.cause == cause)
    return [dict(zip(names, row, strict=True)) for row in (await db.execute(query.limit(min(limit, MOST_ROWS)))).all()]


async def insert(db: AsyncConnection, row: KeptRow) -> None:
    """Write one; an error where this push is kept already."""
    await db.execute(WEBHOOKS.insert().values(**row._asdict()))


async def change(db: AsyncConnection, id: str, states: Sequence[str], **values: Any) -> bool:
    """Change a row that is in one of these states; whether there was one."""
    done = await db.execute(WEBHOOKS.update().where(WEBHOOKS.c.id == id, WEBHOOKS.c.state.in_(states)).values(**values))
    return done.rowcount > 0


async def waits(db: AsyncConnection) -> dict[str, Waits]:
    """What is kept and open, by source."""
    query = sa.select(WEBHOOKS.c.source, sa.func.count(), sa.func.min(WEBHOOKS.c.received))
    found = (await db.execute(query.where(WEBHOOKS.c.state == State.KEPT.value).group_by(WEBHOOKS.c.source))).all()
    return {source: Waits(many, since) for source, many, since in found}


async def asked(db: AsyncConnection, limit: int) -> list[str]:
    """The ids of rows that a person asked to try again."""
    query = sa.select(WEBHOOKS.c.id).where(WEBHOOKS.c.asked > 0, WEBHOOKS.c.state.in_(_OPEN))
    return [row.id for row in (await db.execute(query.order_by(WEBHOOKS.c.received, WEBHOOKS.c.id).limit(limit))).all()]


async def lock_samples(db: AsyncConnection) -> None:
    """Until this transaction ends no other replica writes a sample: the oldest of them is the lock.

    Where there is none yet, those that begin at once may all write; they are fewer than an hour's.
    """
    oldest = sa.select(WEBHOOKS.c.id).where(WEBHOOKS.c.state == State.REFUSED.value)
    await db.execute(oldest.order_by(WEBHOOKS.c.id).limit(1).with_for_update())


async def samples_since(db: AsyncConnection, source: str, moment: float) -> int:
    """How many samples of a source were taken since then."""
    query = sa.select(sa.func.count()).where(WEBHOOKS.c.source == source, WEBHOOKS.c.state == State.REFUSED.value)
    return int(await db.scalar(query.where(WEBHOOKS.c.updated > moment)) or 0)


async def make_room(db: AsyncConnection, more: int) -> None:
    """Remove the oldest samples until all of them have at most `ALL_SAMPLES_BYTES` with so many more."""
    samples = WEBHOOKS.c.state == State.REFUSED.value
    held = int(await db.scalar(sa.select(sa.func.sum(sa.func.length(WEBHOOKS.c.body))).where(samples)) or 0)
    while held + more > ALL_SAMPLES_BYTES:
        oldest = sa.select(WEBHOOKS.c.id, sa.func.length(WEBHOOKS.c.body).label("size")).where(samples)
        found = (await db.execute(oldest.order_by(WEBHOOKS.c.received).limit(DROPPED_AT_ONCE))).all()
        if not found:
            return
        await db.execute(WEBHOOKS.delete().where(WEBHOOKS.c.id.in_([row.id for row in found])))
        held -= sum(int(row.size) for row in found)


async def forget(store: Store, now: float, final_before: float, limit: int) -> int:
    """One step of the retention: samples after `SAMPLE_SECONDS`, settled rows from before a moment; how many.

    What is kept and open is never forgotten.
    """
    old = sa.and_(WEBHOOKS.c.state == State.REFUSED.value, WEBHOOKS.c.updated < now - SAMPLE_SECONDS)
    settled = sa.and_(WEBHOOKS.c.state.not_in(_OPEN), WEBHOOKS.c.updated < final_before)
    async with store.read() as db:
        query = sa.select(WEBHOOKS.c.id).where(sa.or_(old, settled)).limit(limit)
        ids = [row.id for row in (await db.execute(query)).all()]
    if not ids:
        return 0
    async with store.transaction() as tx:
        done = await (await tx.db()).execute(
            WEBHOOKS.delete().where(WEBHOOKS.c.id.in_(ids), WEBHOOKS.c.state != State.KEPT.value)
        )
        return int(done.rowcount)
