"""Forgetting what is final and old in SQLite: a look without the lease, then a short transaction."""

import sqlite3

from hocket.store.purge import FINAL_RUNS_SQL, Expired, PurgeCursor, ceiling, sift
from hocket.store.records import Before
from hocket.store.sqlite.connection import roll_back
from hocket.store.sqlite.statements import begin, end

_LOOK_INBOX = "SELECT key, state, updated FROM hocket_inbox WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
_LOOK_LEDGER = "SELECT run, state, updated FROM hocket_ledger WHERE run > ? ORDER BY run LIMIT ?"
_INBOX = """DELETE FROM hocket_inbox
WHERE key = ? AND (state IN ('handled', 'refused') AND updated < ? OR state = 'dead' AND updated < ?)"""
_LEDGER = f"DELETE FROM hocket_ledger WHERE run = ? AND state IN ({FINAL_RUNS_SQL}) AND updated < ?"  # noqa: S608 -- names of states


def look(connection: sqlite3.Connection, walk: PurgeCursor, before: Before, limit: int) -> Expired:
    """The next rows of each table, and which of them are old."""
    key, run = walk
    seen = runs = []
    if key is not None:
        seen = connection.execute(_LOOK_INBOX, (key, ceiling(before), limit)).fetchall()
    if run is not None:
        runs = connection.execute(_LOOK_LEDGER, (run, limit)).fetchall()
    return sift(walk, seen, runs, before, limit)


def remove(connection: sqlite3.Connection, found: Expired, before: Before) -> int:
    """Remove what is still final and old; how many rows."""
    begin(connection)
    try:
        old = [(key, before.inbox, before.dead) for key in found.inbox]
        removed = connection.executemany(_INBOX, old).rowcount if old else 0
        runs = [(run, before.ledger) for run in found.ledger]
        removed += connection.executemany(_LEDGER, runs).rowcount if runs else 0
    except BaseException:
        roll_back(connection)
        raise
    end(connection)
    return removed
