# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""Writes endings that change time-outs on PostgreSQL: an ending whose row has another version by now has lost.

Order of locks: time-outs by run, then what `write` takes: the ledger by run, the inbox by key.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from hocket.saga.overdue import TimerRow
from hocket.store.postgres.sql import NOW
from hocket.store.records import Ending, Written
from hocket.store.timers import TIMER_COLUMNS, TIMER_NAMES, timer_values

_KINDS = (
    "bytea", "text", "text", "text", "text", "bigint", "double precision", "double precision", "bytea", "bytea",
    "bytea", "bigint", "double precision",
)  # fmt: skip
_ARRAYS = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(_KINDS, 1))
_NEW = {"due": f"CASE WHEN t.state = 'armed' THEN {NOW} + t.wait ELSE 0 END", "updated": NOW}
_CHANGED = {"due": f"CASE WHEN t.state = 'armed' THEN {NOW} + t.wait ELSE h.due END", "updated": NOW}
#: Locks the rows that have the version before, and makes those that are new; answers which runs these are.
_HOLD = f"""WITH timed AS MATERIALIZED (SELECT * FROM unnest({_ARRAYS}) AS t({TIMER_COLUMNS})),
held AS MATERIALIZED (
SELECT h.run FROM hocket_timers h JOIN timed t ON t.run = h.run WHERE h.version = t.version - 1
ORDER BY h.run FOR UPDATE OF h
), born AS (
INSERT INTO hocket_timers ({TIMER_COLUMNS}) SELECT {", ".join(_NEW.get(name, f"t.{name}") for name in TIMER_NAMES)}
FROM timed t WHERE t.version = 1 ORDER BY t.run ON CONFLICT (run) DO NOTHING RETURNING run
) SELECT run FROM held UNION ALL SELECT run FROM born"""
_CHANGE = f"""UPDATE hocket_timers h SET {
    ", ".join(f"{name} = {_CHANGED.get(name, f't.{name}')}" for name in TIMER_NAMES[1:])
} FROM unnest({_ARRAYS}) AS t({TIMER_COLUMNS}) WHERE h.run = t.run"""
_UNBORN = "DELETE FROM hocket_timers WHERE run = ANY($1::bytea[]) AND version = 1"

Write = Callable[[asyncpg.Connection, Sequence[Ending], "str | None", float], Awaitable[list[Written]]]


async def write_timed(
    connection: asyncpg.Connection, endings: Sequence[Ending], boot: str | None, now: float, write: Write
) -> list[Written]:
    """Write endings inside an open transaction, some of which change time-outs; `write` writes what else they hold."""
    first: dict[bytes, tuple[int, TimerRow]] = {}
    for at, ending in enumerate(endings):
        for row in ending.timers:
            first.setdefault(row.run, (at, row))
    asked = [row for _, row in first.values()]
    held = {bytes(found["run"]) for found in await connection.fetch(_HOLD, *_columns(asked))}
    fit = [
        all(row.run in held and first[row.run][0] == at for row in ending.timers) for at, ending in enumerate(endings)
    ]
    others = [ending._replace(timers=()) for ending, fits in zip(endings, fit, strict=True) if fits]
    answers = iter(await write(connection, others, boot, now))
    written = [next(answers) if fits else Written(False) for fits in fit]
    changed = [row for ending, one in zip(endings, written, strict=True) if one.won for row in ending.timers]
    changed = [row for row in changed if row.version > 1]
    unborn = [run for run, (at, row) in first.items() if run in held and row.version == 1 and not written[at].won]
    if changed:
        await connection.execute(_CHANGE, *_columns(changed))
    if unborn:
        await connection.execute(_UNBORN, unborn)
    return written


def _columns(rows: Sequence[TimerRow]) -> list[list[Any]]:
    columns = [list(column) for column in zip(*(timer_values(row) for row in rows), strict=True)]
    return columns or [[] for _ in TIMER_NAMES]
