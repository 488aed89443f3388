"""Finds attempts that wait outside this database: the inbox knows them as `retry`, and no row here will send them."""

from collections.abc import Collection, Sequence
from typing import NamedTuple

from sqlalchemy import literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import ColumnElement

from hocket.store.records import InboxState, RowKind
from hocket.store.schema import INBOX, OUTBOX
from hocket.store.tables.ordering import PARKED

#: Keys of one statement.
PAGE = 500
#: The words of the index `hocket_inbox_retry`: a parameter in their place would not use it.
_RETRY: ColumnElement[bool] = literal_column(f"state = '{InboxState.RETRY.value}'")
_COLUMNS = tuple(INBOX.c[name] for name in ("key", "subscription", "event_id", "attempt", "data_hash", "death_id"))


class Waiting(NamedTuple):
    """An attempt that waits in a queue, or is in progress: the next one after `attempt`."""

    key: bytes
    queue: str  # as the inbox names it: that of a former name where nothing was recorded since
    event_id: str
    attempt: int
    hash: bytes  # of the data that is tried
    death: str  # of a replay: the letter


async def waiting_of(
    db: AsyncConnection, queues: Collection[str], most: int, after: bytes = b""
) -> tuple[list[Waiting], bytes]:
    """Of at most `most` inbox rows behind the key `after`, those that wait; the last key that was looked at, b"": all.

    What stands in the line of a subject is in this database, and is none.
    """
    found: list[Waiting] = []
    names = sorted(queues)
    for _ in range(0, most, PAGE):
        page = select(*_COLUMNS).where(_RETRY, INBOX.c.subscription.in_(names), INBOX.c.key > after)
        rows = [_waiting(row) for row in await db.execute(page.order_by(INBOX.c.key).limit(PAGE))]
        found += await _elsewhere(db, rows)
        if len(rows) < PAGE:
            return found, b""
        after = rows[-1].key
    return found, after


async def still_waiting(db: AsyncConnection, known: Sequence[Waiting]) -> list[Waiting]:
    """Those of which nothing has changed."""
    found: list[Waiting] = []
    for at in range(0, len(known), PAGE):
        some = {each.key: each for each in known[at : at + PAGE]}
        rows = await db.execute(select(*_COLUMNS).where(_RETRY, INBOX.c.key.in_(list(some))))
        now = {row.key: row for row in map(_waiting, rows)}
        found += await _elsewhere(db, [each for each in some.values() if now.get(each.key) == each])
    return found


async def _elsewhere(db: AsyncConnection, rows: list[Waiting]) -> list[Waiting]:
    if not rows:
        return []
    keys = [each.key for each in rows]
    sent = select(OUTBOX.c.inbox_key).where(OUTBOX.c.kind == RowKind.SELF.value, OUTBOX.c.inbox_key.in_(keys))
    parked = select(PARKED.c.key).where(PARKED.c.key.in_(keys))
    here = {bytes(key) for asked in (sent, parked) for key in await db.scalars(asked)}
    return [each for each in rows if each.key not in here]


def _waiting(row: Sequence[object]) -> Waiting:
    key, queue, event_id, attempt, data_hash, death = row
    assert isinstance(key, bytes | memoryview)
    assert isinstance(data_hash, bytes | memoryview)
    assert isinstance(attempt, int)
    return Waiting(bytes(key), str(queue), str(event_id), attempt, bytes(data_hash), str(death))
