"""Forgetting what is final and old, in steps along the keys: no index on time is kept up for it (RULES 2.7).

Inbox keys are led by coarse time (RULES 2.3), so a walk ends where the keys of the retention begin.
"""

import sqlite3
from typing import NamedTuple

from hocket.store import Before
from hocket.stores.sqlite_rows import begin, end
from hocket.stores.sqlite_thread import roll_back

#: Seconds that one step of a key's lead stands for, and the bytes of the lead.
LEAD_SECONDS = 65.536
LEAD_BYTES = 4

_LOOK_INBOX = "SELECT key, state, updated FROM hocket_inbox WHERE key > ? AND key < ? ORDER BY key LIMIT ?"
_LOOK_LEDGER = "SELECT run, state, updated FROM hocket_ledger WHERE run > ? ORDER BY run LIMIT ?"
_INBOX = """DELETE FROM hocket_inbox
WHERE key = ? AND (state IN ('handled', 'refused') AND updated < ? OR state = 'dead' AND updated < ?)"""
_LEDGER = """DELETE FROM hocket_ledger
WHERE run = ? AND state IN ('tombstone', 'done', 'void', 'refused', 'undone') AND updated < ?"""


class Walk(NamedTuple):
    """How far a walk has come: the last key seen of each table, None at its end."""

    inbox: bytes | None
    ledger: str | None


START = Walk(b"", "")


class Found(NamedTuple):
    """Keys that may go, and where the walk goes on."""

    inbox: list[bytes]
    ledger: list[str]
    walk: Walk


def look(connection: sqlite3.Connection, walk: Walk, before: Before, limit: int) -> Found:
    """The next rows of each table, and which of them are old."""
    inbox: list[bytes] = []
    ledger: list[str] = []
    key, run = walk
    if key is not None:
        seen = connection.execute(_LOOK_INBOX, (key, _lead(max(before.inbox, before.dead)), limit)).fetchall()
        inbox = [each for each, state, updated in seen if updated < (before.dead if state == "dead" else before.inbox)]
        key = seen[-1][0] if len(seen) == limit else None
    if run is not None:
        runs = connection.execute(_LOOK_LEDGER, (run, limit)).fetchall()
        ledger = [each for each, _, updated in runs if updated < before.ledger]
        run = runs[-1][0] if len(runs) == limit else None
    after = Walk(key, run)
    return Found(inbox, ledger, START if after == Walk(None, None) else after)


def _lead(moment: float) -> bytes:
    """A key behind all whose time is not after this moment."""
    lead = int(max(moment, 0.0) / LEAD_SECONDS) + 1
    most: int = 2 ** (8 * LEAD_BYTES) - 1
    return min(lead, most).to_bytes(LEAD_BYTES, "big")


def remove(connection: sqlite3.Connection, found: Found, before: Before) -> int:
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
