"""Removes old final rows from SQLite: reads without the write lease, then deletes in a short transaction."""

import sqlite3

from hocket.store.purge import FINAL_RUNS_SQL, Expired, PurgeCursor, ceiling, expired_of
from hocket.store.records import Before, Removed
from hocket.store.renaming import Renamed
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

#: Renames a run that nobody works on, unless another has its new name (RULES 5.1): one process holds the file.
_RENAME = """UPDATE OR IGNORE hocket_ledger SET run = ?, version = version + 1
WHERE run = ? AND state <> 'undoing' AND (state <> 'begun' OR boot <> ?)"""
_RENAME_KEPT = "UPDATE hocket_kept SET run = ? WHERE id IN (SELECT kept FROM hocket_ledger WHERE run = ?)"
_TAKEN = "SELECT count(*) = 2 FROM hocket_ledger WHERE run IN (?, ?)"


def look(connection: sqlite3.Connection, cursor: PurgeCursor, before: Before, limit: int) -> Expired:
    """The next rows of each table, and which of them are old."""
    key, run = cursor
    seen = runs = []
    if key is not None:
        seen = connection.execute(_OLD_INBOX, (key, ceiling(before), limit)).fetchall()
    if run is not None:
        runs = connection.execute(_OLD_LEDGER, (run, limit)).fetchall()
    return expired_of(cursor, seen, runs, before, limit)


def remove(connection: sqlite3.Connection, found: Expired, before: Before) -> Removed:
    """Remove what is still final and old, empty what has nothing left to undo, rename what is found by its scope."""
    with write_transaction(connection):
        old = [(key, before.inbox, before.dead) for key in found.inbox]
        removed = connection.executemany(_INBOX, old).rowcount if old else 0
        if emptied := [(run, before.emptied) for run in found.emptied]:
            connection.executemany(_DROP.format(_EMPTY), emptied)
            connection.executemany(_LEAVE_EMPTY, emptied)
        if runs := [(run, before.ledger) for run in found.ledger]:
            connection.executemany(_DROP.format(_OLD), runs)
            removed += connection.executemany(_LEDGER, runs).rowcount
        done = sum(_renamed(connection, each, before.boot) for each in found.renamed)
        taken = sum(connection.execute(_TAKEN, each).fetchone()[0] for each in found.renamed)
        return Removed(removed, done, taken)


def _renamed(connection: sqlite3.Connection, each: Renamed, boot: str) -> int:
    done = connection.execute(_RENAME, (each.new, each.run, boot)).rowcount
    if done:
        connection.execute(_RENAME_KEPT, (each.new, each.new))
    return done
