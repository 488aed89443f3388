"""Reads what a store knows of subjects when deliveries are admitted, and removes what is old. Both databases."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Table, delete, select

from hocket.store.port import Store
from hocket.store.subjects.rows import Latest
from hocket.store.tables.subjects import LATEST, MARKS

#: Keys of one statement.
KEYS_AT_ONCE = 500


class Sight(NamedTuple):
    """The rows that exist of some keys, committed state; of the marks those that are done."""

    latest: Mapping[bytes, Latest]
    done: frozenset[bytes]


async def look(store: Store, latest: Sequence[bytes], marks: Sequence[bytes]) -> Sight:
    """Look these keys up. `StoreError` where the store does not answer."""
    found: dict[bytes, Latest] = {}
    done: set[bytes] = set()
    async with store.read() as db:
        for some in _parts(latest):
            asked = select(LATEST.c.key, LATEST.c.field, LATEST.c.value).where(LATEST.c.key.in_(some))
            found |= {bytes(key): Latest(field, bytes(value)) for key, field, value in await db.execute(asked)}
        for some in _parts(marks):
            told = select(MARKS.c.key).where(MARKS.c.key.in_(some), MARKS.c.done == 1)
            done |= {bytes(key) for key in await db.scalars(told)}
    return Sight(found, frozenset(done))


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


def _parts(keys: Sequence[bytes]) -> list[Sequence[bytes]]:
    return [keys[start : start + KEYS_AT_ONCE] for start in range(0, len(keys), KEYS_AT_ONCE)]
