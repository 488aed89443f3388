"""Removes old final rows from SQLite: reads without the write lease, then deletes in a short transaction."""

import sqlite3

from hocket.store.purge import FINAL_RUNS_SQL, Expired, PurgeCursor, ceiling, expired_of
from hocket.store.records import Before
from hocket.store.sql import EMPTIED, OLD_INBOX, OLD_LEDGER, question_marks
from hocket.store.sqlite.connection import write_transaction

_OLD_INBOX, _OLD_LEDGER = question_marks(OLD_INBOX), question_marks(OLD_LEDGER)
_DROP = "DELETE FROM hocket_kept WHERE id IN (SELECT kept FROM hocket_ledger WHERE run = ? AND {})"
_INBOX = """DELETE FROM hocket_inbox
WHERE key = ? AND (state IN ('handled', 'refused') AND updated < ? OR state = 'dead' AND updated < ?)"""
_OLD = f"state IN ({FINAL_RUNS_SQL}) AND updated < ?"
_LEDGER = f"DELETE FROM hocket_ledger WHERE run = ? AND {_OLD}"  # noqa: S608 -- names of states
_EMPTY = EMPTIED.format(before="?")
_LEAVE_EMPTY = f"UPDATE hocket_ledger SET failure = x'', kept = 0, version = version + 1 WHERE run = ? AND {_EMPTY}"  # noqa: S608 -- names of states


def look(connection: sqlite3.Connection, cursor: PurgeCursor, before: Before, limit: int) -> Expired:
    """The next rows of each table, and which of them are old."""
    key, run = cursor
    seen = runs = []
    if key is not None:
        seen = connection.execute(_OLD_INBOX, (key, ceiling(before), limit)).fetchall()
    if run is not None:
        runs = connection.execute(_OLD_LEDGER, (run, limit)).fetchall()
    return expired_of(cursor, seen, runs, before, limit)


def remove(connection: sqlite3.Connection, found: Expired, before: Before) -> int:
    """Remove what is still final and old, and empty what has nothing left to undo; how many rows."""
    with write_transaction(connection):
        old = [(key, before.inbox, before.dead) for key in found.inbox]
        removed = connection.executemany(_INBOX, old).rowcount if old else 0
        if emptied := [(run, before.emptied) for run in found.emptied]:
            connection.executemany(_DROP.format(_EMPTY), emptied)
            connection.executemany(_LEAVE_EMPTY, emptied)
        if runs := [(run, before.ledger) for run in found.ledger]:
            connection.executemany(_DROP.format(_OLD), runs)
            removed += connection.executemany(_LEDGER, runs).rowcount
        return removed
