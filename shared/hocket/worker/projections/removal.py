"""Drops old generations: the state first, queue and tables later (RULES 14.4).

No queue and no table is removed on the strength of a young transaction: after a fail-over it may be as if it had never
been, and the generation serves again.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, MetaData, Table, delete, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.broker.topology import history_queue
from hocket.declarations.ordering.option import SUFFIX
from hocket.declarations.projections.tables import TYPE_MARK
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import Generation, GenerationState, over, removable
from hocket.envelope.keys import GENERATION_MARK
from hocket.runtime import Runtime
from hocket.store.ordering.tokens import forget
from hocket.store.tables.backfills import BACKFILLS
from hocket.store.tables.generations import PROGRESS


async def drop_old(runtime: Runtime, every: Sequence[Generation]) -> list[Generation]:
    """Drop those of one projection whose grace is over; the ones that were dropped."""
    grace, now = runtime.config.projection_grace_seconds, (await runtime.store.clock.time()).now
    if not over(every, now, grace):
        return []
    async with runtime.store.transaction() as tx:
        db = await tx.db()
        before = await rows.rows_of(db, every[0].projection, lock=True)
        dropped = over(before, now, grace)
        await rows.write(db, before, dropped, now)
    return dropped


async def remove_dropped(runtime: Runtime, every: Sequence[Generation]) -> list[Generation]:
    """Remove queues and tables of those that were dropped long ago; the ones that are gone now.

    One whose queue is still consumed waits. Raises `StoreError` or `TransportError`; the next call goes on.
    """
    wait, now = runtime.config.projection_removal_seconds, (await runtime.store.clock.time()).now
    gone: list[Generation] = []
    for each in removable(every, now, wait):
        identity = f"{runtime.service}.{each.projection}{GENERATION_MARK}{each.n}"
        queues = (identity, history_queue(identity), f"{identity}{SUFFIX}")
        if all([await runtime.transport.remove(queue) for queue in queues]):
            await forget(runtime.store, identity)
            gone += await _remove_tables(runtime, each, identity, now)
    return gone


async def _remove_tables(runtime: Runtime, one: Generation, identity: str, now: float) -> list[Generation]:
    async with runtime.store.transaction() as tx:
        db = await tx.db()
        before = await rows.rows_of(db, one.projection, only=one.n)  # the drop may wait for who still reads its tables
        mine = [each for each in before if each.n == one.n and each.state is GenerationState.DROPPED]
        if not mine:
            return []
        await drop_tables(db, mine[0].tables)
        await db.execute(delete(PROGRESS).where(PROGRESS.c.projection == one.projection, PROGRESS.c.n == one.n))
        await db.execute(delete(BACKFILLS).where(BACKFILLS.c.subscription == identity))
        gone = [mine[0]._replace(state=GenerationState.GONE)]
        await rows.write(db, before, gone, now)
    return gone


async def drop_tables(db: AsyncConnection, names: Sequence[str]) -> None:
    """Drop these tables of a generation, with the enum types that are theirs; what is not there is gone already."""
    for name in names:
        schema, _, table = name.rpartition(".")
        await db.run_sync(Table(table, MetaData(), schema=schema or None).drop, checkfirst=True)
        if db.dialect.name == "postgresql":
            await db.run_sync(_drop_types, f"{table}{TYPE_MARK}")


def _drop_types(db: Connection, begin: str) -> None:
    quote = db.dialect.identifier_preparer.quote
    for each in inspect(db).get_enums("*"):  # type: ignore[attr-defined]  # PostgreSQL's inspector has it
        if each["name"].startswith(begin) and each["name"].removeprefix(begin).isdigit():
            db.execute(text(f"DROP TYPE {quote(each['schema'])}.{quote(each['name'])}"))
