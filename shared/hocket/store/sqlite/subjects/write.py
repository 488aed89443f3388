"""Writes endings that are about their subject on SQLite: an older value loses, marks send who waits (RULES 15)."""

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

from hocket.store import row_codec as rows_of
from hocket.store.purge import FURTHEST_SECONDS
from hocket.store.records import Ending, OutboxRow, Written
from hocket.store.sql import OUTBOX_NAMES
from hocket.store.subjects.rows import Latest, Mark, is_stale, merged, passes, schedule_of, sent, wakes

_LATEST = "SELECT field, value FROM hocket_latest WHERE key = ?"
_PUT_LATEST = """INSERT INTO hocket_latest (key, field, value, updated) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET field = excluded.field, value = excluded.value,
updated = max(updated, excluded.updated)"""
_MARK = "SELECT done, wanted FROM hocket_marks WHERE key = ?"
_PUT_MARK = """INSERT INTO hocket_marks (key, done, wanted, updated) VALUES (?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET done = excluded.done, wanted = excluded.wanted,
updated = max(updated, excluded.updated)"""
_WAITING = f"""SELECT {", ".join(OUTBOX_NAMES)} FROM hocket_outbox
WHERE schedule = ? AND schedule <> '' AND owner IS NULL AND refused IS NULL ORDER BY id"""  # noqa: S608 -- names of columns
_SEND = """UPDATE hocket_outbox SET due = ?, wait = 0, owner = ?
WHERE schedule = ? AND schedule <> '' AND owner IS NULL AND refused IS NULL"""

Write = Callable[[sqlite3.Connection, Sequence[Ending], "str | None", float], list[Written]]


def write_about_subjects(
    connection: sqlite3.Connection, endings: Sequence[Ending], boot: str | None, now: float, write: Write
) -> list[Written]:
    """Write endings inside an open transaction, some about their subject; `write` writes what else they hold."""
    written = [Written(False)] * len(endings)
    for some in passes([each.latest for each in endings]):
        fit = [at for at in some if not _is_stale(connection, endings[at])]
        others = [endings[at]._replace(latest=None, marks=()) for at in fit]
        for at, one in zip(fit, write(connection, others, boot, now) if others else (), strict=True):
            written[at] = one
            if one.won:
                _raise(connection, endings[at], now)
    return _mark(connection, endings, written, boot, now)


def _is_stale(connection: sqlite3.Connection, ending: Ending) -> bool:
    if ending.latest is None:
        return False
    found = connection.execute(_LATEST, (ending.latest.key,)).fetchone()
    return is_stale(Latest(*found) if found else None, ending.latest.row)


def _raise(connection: sqlite3.Connection, ending: Ending, now: float) -> None:
    if ending.latest is None:
        return
    said = ending.inbox.row.updated if ending.inbox is not None else now
    updated = max(now, min(said, now + FURTHEST_SECONDS))
    connection.execute(_PUT_LATEST, (ending.latest.key, *ending.latest.row, updated))


def _mark(
    connection: sqlite3.Connection, endings: Sequence[Ending], written: list[Written], boot: str | None, now: float
) -> list[Written]:
    asked = [
        (at, mark) for at, each in enumerate(endings) if each.marks and written[at].won for mark in each.marks
    ]  # fmt: skip
    for key, (new, wait) in merged(mark for _, mark in asked).items():
        found = connection.execute(_MARK, (key,)).fetchone()
        old = Mark(*(bool(each) for each in found)) if found else Mark()
        mark = Mark(old.done or new.done, old.wanted or new.wanted)
        woken: list[OutboxRow] = []
        if wakes(mark):
            woken, mark = _woken(connection, schedule_of(key), boot, now), sent(mark)
        connection.execute(_PUT_MARK, (key, int(mark.done), int(mark.wanted), now + wait))
        first = next(at for at, each in asked if each.key == key)
        written[first] = written[first]._replace(outbox=(*written[first].outbox, *woken))
    return written


def _woken(connection: sqlite3.Connection, schedule: str, boot: str | None, now: float) -> list[OutboxRow]:
    """Those who wait, due now and owned by this process."""
    values: list[Any] = connection.execute(_WAITING, (schedule,)).fetchall()
    if values:
        connection.execute(_SEND, (now, boot, schedule))
    return [rows_of.outbox_row(tuple(each))._replace(due=now, wait=0.0) for each in values]
