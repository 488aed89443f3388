"""Removes old rows of subjects with the inbox (RULES 15.2), the same way in both databases."""

from collections.abc import AsyncIterator, Sequence

from sqlalchemy import Table, delete, select

from hocket.store.port import Store
from hocket.store.tables.subjects import LATEST, MARKS


async def purge(store: Store, before: float, limit: int) -> AsyncIterator[int]:
    """Walk both tables, `limit` rows a step, and remove what was last changed before this moment; yields how many."""
    for table in (LATEST, MARKS):
        after = b""
        while True:
            keys = select(table.c.key, table.c.updated).where(table.c.key > after).order_by(table.c.key).limit(limit)
            async with store.read() as db:
                seen = list(await db.execute(keys))
            old = [bytes(key) for key, updated in seen if updated < before]
            yield await _remove(store, table, old, before) if old else 0
            if len(seen) < limit:
                break
            after = bytes(seen[-1][0])


async def _remove(store: Store, table: Table, keys: Sequence[bytes], before: float) -> int:
    async with store.transaction() as tx:
        db = await tx.db()
        gone = await db.execute(delete(table).where(table.c.key.in_(keys), table.c.updated < before))
        return gone.rowcount
