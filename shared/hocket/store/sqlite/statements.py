# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The kit's statements on SQLite: plain functions over one `sqlite3` connection, each one hop to its thread."""

import sqlite3
from collections.abc import Sequence
from functools import cache
from typing import Any

from hocket.saga.ledger import LedgerRow
from hocket.store import row_codec as rows_of
from hocket.store.purge import FURTHEST_SECONDS
from hocket.store.records import (
    Admitted,
    Ending,
    InboxRow,
    InboxWrite,
    Offset,
    OutboxRow,
    RowKind,
    Waiting,
    Written,
    receipt_row,
)
from hocket.store.sql import (
    ADVANCE,
    CANCEL,
    FIRST_OFFSET,
    HORIZON,
    INBOX_NAMES,
    NEXT_DUE,
    OFFSET,
    OUTBOX_NAMES,
    PUT_RIGHT,
    REFUSE,
    STAMP,
    overwritten,
    question_marks,
)
from hocket.store.sqlite import ledger as of_ledger
from hocket.store.sqlite.beside.write import write_beside
from hocket.store.sqlite.connection import in_parts, write_transaction
from hocket.store.sqlite.subjects.write import write_about_subjects
from hocket.store.sqlite.timers.write import write_timed

_IN, _OUT = ", ".join(INBOX_NAMES), ", ".join(OUTBOX_NAMES)


def _marks(names: Sequence[str]) -> str:
    return ", ".join("?" * len(names))


_INBOX = f"SELECT {_IN} FROM hocket_inbox WHERE key IN ({{}})"
_PUT_INBOX = f"""INSERT INTO hocket_inbox ({_IN}) VALUES ({_marks(INBOX_NAMES)})
ON CONFLICT (key) DO UPDATE SET {overwritten(INBOX_NAMES)}"""

#: RULES 3.1: the row is not final and its attempt is lower; or it is dead, the run a replay, its attempt lower.
_WIN_INBOX = (
    _PUT_INBOX
    + """ WHERE hocket_inbox.attempt < ?
AND (hocket_inbox.state = 'retry' OR (hocket_inbox.state = 'dead' AND ?))"""
)

#: Rows of one statement: each statement, and each row that it returns, releases and takes the interpreter's lock again.
ROWS_AT_ONCE = 128
_NEW_INBOX = f"INSERT INTO hocket_inbox ({_IN}) VALUES {{}} ON CONFLICT (key) DO NOTHING"

_LAST_ID = "SELECT seq FROM sqlite_sequence WHERE name = 'hocket_outbox'"
_PUT_OUTBOX = f"INSERT INTO hocket_outbox ({_OUT}) VALUES {{}}"

_OWN = f"""SELECT {_OUT} FROM hocket_outbox
WHERE owner IS NOT NULL AND refused IS NULL AND id > ? AND owner = ? ORDER BY id LIMIT ?"""
_CLAIM = f"""UPDATE hocket_outbox SET owner = ? WHERE id IN (SELECT id FROM hocket_outbox
WHERE owner IS NULL AND refused IS NULL AND due <= ? AND id <= ? ORDER BY due, id LIMIT ?) RETURNING {_OUT}"""

#: Fails where nothing can be written: a file or a connection that is read only, a full disk.
_NOTHING = "UPDATE hocket_meta SET value = value WHERE name = 'schema'"

_CANCEL, _REFUSE = question_marks(CANCEL).format(now="?"), question_marks(REFUSE)
_NEXT_DUE = NEXT_DUE.format(now="?")
_PUT_RIGHT = PUT_RIGHT.format(now="?", limit="?", lock="")
#: What waits moves with the clock that it waits by; each row once, in order of the ids.
_SHIFT = """UPDATE hocket_outbox SET due = due + ? WHERE id IN (SELECT id FROM hocket_outbox
WHERE owner IS NULL AND refused IS NULL AND wait > 0 AND id > ? ORDER BY id LIMIT ?) RETURNING id"""
_FAR = """SELECT 1 FROM hocket_outbox
WHERE owner IS NULL AND refused IS NULL AND wait > 0 AND due - wait > ? + 0.001 LIMIT 1"""
_STAMP = STAMP.format(name="?", value="?")
_OFFSET, _ADVANCE, _FIRST_OFFSET = question_marks(OFFSET), question_marks(ADVANCE), question_marks(FIRST_OFFSET)

_FOREIGN = "SELECT 1 FROM hocket_outbox WHERE owner IS NOT NULL AND refused IS NULL AND owner <> ? LIMIT 1"
_TAKE_OVER = "UPDATE hocket_outbox SET owner = ? WHERE owner IS NOT NULL AND refused IS NULL AND owner <> ?"

_WAITING = """WITH waits AS (
SELECT kind, due FROM hocket_outbox WHERE owner IS NOT NULL AND refused IS NULL
UNION ALL SELECT kind, due FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL AND due <= ?)
SELECT coalesce(sum(kind IN (?, ?)), 0), coalesce(sum(kind = ?), 0),
(SELECT count(*) FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL AND due > ?),
(SELECT count(*) FROM hocket_outbox WHERE refused IS NOT NULL), coalesce(max(? - min(due), 0.0), 0.0) FROM waits"""

#: Greater than every id: no ceiling.
_NO_CEILING = 2**63 - 1


def write(connection: sqlite3.Connection, endings: Sequence[Ending], boot: str | None, now: float) -> list[Written]:
    """Write endings inside an open transaction (RULES 3.1); of a loser nothing is written.

    `boot` None: rows have no owner until somebody claims them.
    """
    if any(ending.beside for ending in endings):
        return write_beside(connection, endings, boot, now, write)
    if any(ending.timers for ending in endings):
        return write_timed(connection, endings, boot, now, write)
    if any(ending.about_subject for ending in endings):
        return write_about_subjects(connection, endings, boot, now, write)
    again = of_ledger.changed(connection, endings)
    keyed = [
        (ending.inbox.row.key, at) for at, ending in enumerate(endings) if ending.inbox is not None and at not in again
    ]
    won = [ending.inbox is None and at not in again for at, ending in enumerate(endings)]
    taken: set[bytes] = set()
    keyed.sort()
    if _all_new(connection, [inbox for _, at in keyed if (inbox := endings[at].inbox) is not None], now):
        won = [at not in again for at in range(len(endings))]
        keyed = []
    for key, at in keyed:
        inbox = endings[at].inbox
        if inbox is not None and key not in taken and _wins(connection, inbox, now):
            taken.add(key)
            won[at] = True
    winners = [ending for ending, wins in zip(endings, won, strict=True) if wins]
    of_ledger.write(connection, [row for ending in winners for row in ending.ledger], now)
    said = [list(ending.outbox) for ending in winners]
    if receipts := [ending.receipt for ending in winners if ending.receipt]:
        said[0].append(receipt_row(receipts, now))
    stored = iter(_put_outbox(connection, [row for rows in said for row in rows], boot, now))
    written = iter([Written(True, tuple(next(stored) for _ in rows)) for rows in said])
    return [next(written) if wins else Written(False, again=at in again) for at, wins in enumerate(won)]


def _all_new(connection: sqlite3.Connection, writes: Sequence[InboxWrite], now: float) -> bool:
    """Insert all, in one statement, if the inbox knows none of the keys; else nothing, and each is asked for alone."""
    if not 1 < len(writes) <= ROWS_AT_ONCE or any(write.won or write.owner for write in writes):
        return False
    connection.execute("SAVEPOINT hocket_new")
    whole = True
    for some in in_parts(writes, ROWS_AT_ONCE):
        values = [value for write in some for value in rows_of.inbox_values(write.row, _updated(write.row, now))]
        whole = whole and connection.execute(_new_inbox(len(some)), values).rowcount == len(some)
    if not whole:
        connection.execute("ROLLBACK TO hocket_new")
    connection.execute("RELEASE hocket_new")
    return whole


@cache
def _new_inbox(rows: int) -> str:
    row = f"({_marks(INBOX_NAMES)})"
    return _NEW_INBOX.format(", ".join([row] * rows))


@cache
def _new_outbox(rows: int) -> str:
    return _PUT_OUTBOX.format(", ".join([f"({_marks(OUTBOX_NAMES)})"] * rows))


@cache
def _forgotten(ids: int) -> str:
    return f"DELETE FROM hocket_outbox WHERE id IN ({', '.join('?' * ids)})"


@cache
def _inbox_of(keys: int) -> str:
    return _INBOX.format(", ".join("?" * keys))


def _updated(row: InboxRow, now: float) -> float:
    """RULES 2.7: a row is remembered from the later of its arrival and its event's `time`."""
    return now if row.updated <= now else min(row.updated, now + FURTHEST_SECONDS)


def _wins(connection: sqlite3.Connection, inbox: InboxWrite, now: float) -> bool:
    if not of_ledger.owns(connection, inbox):
        return False
    values = rows_of.inbox_values(inbox.row, _updated(inbox.row, now))
    if inbox.won:
        return connection.execute(_PUT_INBOX, values).rowcount == 1
    return connection.execute(_WIN_INBOX, (*values, inbox.run_attempt, inbox.replay)).rowcount == 1


def _put_outbox(connection: sqlite3.Connection, rows: list[OutboxRow], boot: str | None, now: float) -> list[OutboxRow]:
    if not rows:
        return []
    last = connection.execute(_LAST_ID).fetchone()
    stored = [row.stored(id) for id, row in enumerate(rows, start=(last[0] if last else 0) + 1)]
    for some in in_parts(stored, ROWS_AT_ONCE):
        connection.execute(_new_outbox(len(some)), [value for row in some for value in _placed(row, boot, now)])
    return stored


def _placed(row: OutboxRow, boot: str | None, now: float) -> tuple[Any, ...]:
    if row.wait or row.kind is RowKind.SCHEDULED:
        return rows_of.outbox_values(row, None if row.later else boot, row.due_by(now))
    return rows_of.outbox_values(row, boot, now)  # said for now, as most are


def commit(connection: sqlite3.Connection, endings: Sequence[Ending], boot: str, now: float) -> list[Written]:
    """Endings inside an open transaction of the kit's own; without endings a small write all the same."""
    if not endings:
        connection.execute(_NOTHING)
    return write(connection, endings, boot, now)


def inbox(connection: sqlite3.Connection, keys: Sequence[bytes]) -> dict[bytes, InboxRow]:
    """The inbox rows that exist."""
    found: dict[bytes, InboxRow] = {}
    for some in in_parts(keys, ROWS_AT_ONCE):
        for values in connection.execute(_inbox_of(len(some)), some):
            found[values[0]] = rows_of.inbox_row(values)
    return found


def admit(
    connection: sqlite3.Connection,
    keys: Sequence[bytes],
    begins: Sequence[LedgerRow],
    runs: Sequence[str],
    boot: str,
    now: float,
) -> Admitted:
    """Look up, and begin what is not known inside an open transaction; a look alone writes nothing and needs none."""
    if not begins:
        return Admitted(inbox(connection, keys), of_ledger.ledger(connection, runs, boot), frozenset())
    return of_ledger.begin(connection, inbox(connection, keys), begins, runs, boot, now)


def cancel(connection: sqlite3.Connection, schedule: str, now: float) -> bool:
    """Delete what is scheduled under this name and not yet due (RULES 4.5)."""
    return connection.execute(_CANCEL, (schedule, now)).rowcount > 0


def offset(connection: sqlite3.Connection, reader: str) -> Offset:
    """Where a reader stands; a new one at the start, without a token."""
    found = connection.execute(_OFFSET, (reader,)).fetchone()
    return Offset(*found) if found else Offset()


def advance(connection: sqlite3.Connection, reader: str, seen: Offset, to: Offset) -> bool:
    """Compare-and-set (RULES 7.1)."""
    moved = connection.execute(_ADVANCE, (to.next, to.token, reader, seen.next, seen.token)).rowcount
    if not moved and seen == Offset():
        moved = connection.execute(_FIRST_OFFSET, (to.next, to.token, reader)).rowcount
    return moved == 1


def own(
    connection: sqlite3.Connection, boot: str, now: float, after: int | None, limit: int
) -> tuple[list[OutboxRow], int | None]:
    """Own due rows behind `after`, and up to which id others may be claimed now; None: nothing is there to claim.

    Where there are more own rows than `limit`, only rows below the last one returned are claimed: a caller that goes
    on behind the highest id it was given passes nobody by.
    """
    rows: list[OutboxRow] = []
    if after is not None:
        rows = [rows_of.outbox_row(values) for values in connection.execute(_OWN, (after, boot, limit))]
    wait = next_due(connection, now)
    if wait is None or wait > 0:
        return rows, None
    return rows, rows[-1].id if rows and len(rows) == limit else _NO_CEILING


def claim(connection: sqlite3.Connection, boot: str, now: float, ceiling: int, limit: int) -> list[OutboxRow]:
    """Own what has become due, earliest first."""
    with write_transaction(connection):
        return [rows_of.outbox_row(values) for values in connection.execute(_CLAIM, (boot, now, ceiling, limit))]


def next_due(connection: sqlite3.Connection, now: float) -> float | None:
    """Seconds until the next unowned row is due."""
    wait: float | None = connection.execute(_NEXT_DUE, (now,)).fetchone()[0]
    return wait


def far(connection: sqlite3.Connection, now: float) -> bool:
    """Whether a row is further away than it waits (RULES 11.2)."""
    return connection.execute(_FAR, (now,)).fetchone() is not None


def put_right(connection: sqlite3.Connection, now: float, limit: int) -> int:
    """Bring rows near that are further away than they wait (RULES 11.2); how many."""
    with write_transaction(connection):
        return connection.execute(_PUT_RIGHT, (now, now, limit)).rowcount


def shift(connection: sqlite3.Connection, seconds: float, after: int, limit: int) -> int | None:
    """Move what waits with the clock, rows with an id above `after`; the highest one moved, None: no more are left."""
    with write_transaction(connection):
        moved = [id for (id,) in connection.execute(_SHIFT, (seconds, after, limit))]
    return max(moved) if len(moved) == limit else None


def noted(connection: sqlite3.Connection, what: str) -> float | None:
    """The number that `hocket_meta` keeps: `HORIZON` or `SWEPT`."""
    found = connection.execute(what).fetchone()
    return float(found[0]) if found else None


def note(connection: sqlite3.Connection, name: str, value: float) -> None:
    """Keep a number in `hocket_meta`, in a transaction of its own or in the open one."""
    connection.execute(_STAMP, (name, repr(value)))


def move_horizon(connection: sqlite3.Connection, target: float, most: float) -> float:
    """Move the horizon towards `target` (RULES 2.7); where it is then."""
    with write_transaction(connection):
        was = noted(connection, HORIZON)
        horizon = target if was is None else max(was, min(target, was + most))
        note(connection, "horizon", horizon)
    return horizon


def take_over(connection: sqlite3.Connection, boot: str) -> int:
    """Own what earlier boots owned (RULES 4.1); how many rows. Only where there are some the file is asked for."""
    if connection.execute(_FOREIGN, (boot,)).fetchone() is None:
        return 0
    return connection.execute(_TAKE_OVER, (boot, boot)).rowcount


def forget(connection: sqlite3.Connection, ids: Sequence[int]) -> None:
    """Delete confirmed rows, inside an open transaction."""
    for some in in_parts(ids, ROWS_AT_ONCE):
        connection.execute(_forgotten(len(some)), some)


def refuse(connection: sqlite3.Connection, id: int, reason: str) -> None:
    """Set one row aside (RULES 4.3)."""
    connection.execute(_REFUSE, (reason, id))


def waiting(connection: sqlite3.Connection, now: float) -> Waiting:
    """Counts of the outbox, from its indexes alone."""
    kinds = (RowKind.EVENT.value, RowKind.SCHEDULED.value, RowKind.RECEIPT.value)
    return Waiting(*connection.execute(_WAITING, (now, *kinds, now, now)).fetchone())
