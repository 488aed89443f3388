# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""Writes endings that are about their subject on PostgreSQL: an older value loses, marks send who waits (RULES 15).

Order of locks: latest values by key, then what `write` takes, then marks by key, then the rows of those who wait.
"""

from collections.abc import Awaitable, Callable, Sequence

import asyncpg

from hocket.store import row_codec as rows_of
from hocket.store.postgres.sql import NOW
from hocket.store.purge import FURTHEST_SECONDS
from hocket.store.records import Ending, OutboxRow, Written
from hocket.store.sql import OUTBOX_NAMES
from hocket.store.subjects.rows import Latest, Mark, is_stale, merged, passes, schedule_of, wakes

#: What stands in a row that was made to be locked: no field has this name.
_UNBORN = ""
_LOCK = "SELECT key, field, value FROM hocket_latest WHERE key = ANY($1::bytea[]) ORDER BY key FOR UPDATE"
#: A row that is new, or that another transaction has just made: locked in both cases, and read as it is then.
_BEAR = f"""INSERT INTO hocket_latest AS l (key, field, value, updated)
SELECT key, '{_UNBORN}', ''::bytea, {NOW} FROM unnest($1::bytea[]) AS a(key) ORDER BY key
ON CONFLICT (key) DO UPDATE SET updated = l.updated RETURNING key, field, value"""
_RAISE = f"""UPDATE hocket_latest l SET field = a.field, value = a.value,
updated = greatest(l.updated, {NOW}, least(a.said, {NOW} + {FURTHEST_SECONDS}))
FROM unnest($1::bytea[], $2::text[], $3::bytea[], $4::double precision[]) AS a(key, field, value, said)
WHERE l.key = a.key"""
_DROP = f"DELETE FROM hocket_latest WHERE key = ANY($1::bytea[]) AND field = '{_UNBORN}'"
_MARK = f"""INSERT INTO hocket_marks AS m (key, done, wanted, updated) SELECT key, done, wanted, {NOW} + wait
FROM unnest($1::bytea[], $2::bigint[], $3::bigint[], $4::double precision[]) AS a(key, done, wanted, wait) ORDER BY key
ON CONFLICT (key) DO UPDATE SET done = greatest(m.done, excluded.done), wanted = greatest(m.wanted, excluded.wanted),
updated = greatest(m.updated, excluded.updated) RETURNING key, done, wanted"""
_SENT = "UPDATE hocket_marks SET wanted = 0 WHERE key = ANY($1::bytea[])"
_SEND = f"""UPDATE hocket_outbox SET due = {NOW}, wait = 0, owner = $1
WHERE schedule = ANY($2::text[]) AND schedule <> '' AND owner IS NULL AND refused IS NULL
RETURNING {", ".join(OUTBOX_NAMES)}"""

Write = Callable[[asyncpg.Connection, Sequence[Ending], "str | None", float], Awaitable[list[Written]]]


async def write_about_subjects(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float, write: Write
) -> list[Written]:
    """Write endings inside an open transaction, some about their subject; `write` writes what else they hold."""
    keys = sorted({each.latest.key for each in endings if each.latest is not None})
    held = await _hold(connection, keys) if keys else {}
    written = [Written(False)] * len(endings)
    raised: dict[bytes, tuple[Latest, float]] = {}
    for some in passes([each.latest for each in endings]):
        fit = [at for at in some if (one := endings[at].latest) is None or not is_stale(held.get(one.key), one.row)]
        others = [endings[at]._replace(latest=None, marks=()) for at in fit]
        for at, answer in zip(fit, await write(connection, others, boot, now) if others else (), strict=True):
            written[at] = answer
            latest, inbox = endings[at].latest, endings[at].inbox
            if answer.won and latest is not None:
                held[latest.key] = latest.row
                raised[latest.key] = (latest.row, inbox.row.updated if inbox is not None else 0.0)
    if raised:
        columns = ([row.field for row, _ in raised.values()], [row.value for row, _ in raised.values()])
        await connection.execute(_RAISE, list(raised), *columns, [said for _, said in raised.values()])
    if unborn := [key for key in keys if key not in raised and held[key].field == _UNBORN]:
        await connection.execute(_DROP, unborn)
    return await _mark(connection, endings, written, boot)


async def _hold(connection: asyncpg.Connection, keys: Sequence[bytes]) -> dict[bytes, Latest]:
    """The rows of these keys, locked; one that is new is made."""
    found = list(await connection.fetch(_LOCK, keys))
    known = {bytes(key) for key, _, _ in found}
    if new := [key for key in keys if key not in known]:
        found += await connection.fetch(_BEAR, new)
    return {bytes(key): Latest(field, bytes(value)) for key, field, value in found}


async def _mark(
    connection: asyncpg.Connection, endings: Sequence[Ending], written: list[Written], boot: str | None
) -> list[Written]:
    asked = [(at, mark) for at, each in enumerate(endings) if each.marks and written[at].won for mark in each.marks]
    if not asked:
        return written
    new = merged(mark for _, mark in asked)
    done, wanted = [int(mark.done) for mark, _ in new.values()], [int(mark.wanted) for mark, _ in new.values()]
    found = await connection.fetch(_MARK, list(new), done, wanted, [wait for _, wait in new.values()])
    waking = [bytes(key) for key, *mark in found if wakes(Mark(*(bool(each) for each in mark)))]
    if not waking:
        return written
    await connection.execute(_SENT, waking)
    by_name: dict[str, list[OutboxRow]] = {schedule_of(key): [] for key in waking}
    for values in await connection.fetch(_SEND, boot, list(by_name)):
        row = rows_of.outbox_row(tuple(values))
        by_name[row.schedule].append(row)
    for key in waking:
        first = next(at for at, mark in asked if mark.key == key)
        rows = sorted(by_name[schedule_of(key)], key=lambda row: row.id)
        written[first] = written[first]._replace(outbox=(*written[first].outbox, *rows))
    return written
