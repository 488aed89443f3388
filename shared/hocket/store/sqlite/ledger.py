# ruff: noqa: S608 -- only names of the kit's own tables and columns are put together here
"""The kit's statements on SQLite about step runs: few statements for many rows, as for inbox and outbox."""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import count

from hocket.saga.ledger import Kept, LedgerRow
from hocket.store import row_codec as rows_of
from hocket.store.records import Admitted, Ending, InboxRow, InboxWrite
from hocket.store.sql import KEPT, LEDGER_NAMES, overwritten
from hocket.store.sqlite.connection import in_parts

#: Runs of one statement.
RUNS_AT_ONCE = 128

_LED = ", ".join(LEDGER_NAMES)
_ROW = "(" + ", ".join("?" * len(LEDGER_NAMES)) + ")"
_FIND = f"SELECT {_LED} FROM hocket_ledger WHERE run IN ({{}})"
_VERSIONS = "SELECT run, version FROM hocket_ledger WHERE run IN ({})"
_PUT = f"INSERT INTO hocket_ledger ({_LED}) VALUES {{}} ON CONFLICT (run) DO UPDATE SET {overwritten(LEDGER_NAMES)}"
_OWNED = "SELECT 1 FROM hocket_ledger WHERE run = ? AND state = 'begun' AND owner = ?"
_LAST_KEPT = "SELECT coalesce(max(id), 0) FROM hocket_kept"
_KEEP = "INSERT INTO hocket_kept (id, run, input, results) VALUES {}"
_DROP = "DELETE FROM hocket_kept WHERE id = ?"
_KEPT = KEPT.format(runs="?")


@cache
def _of(statement: str, runs: int) -> str:
    return statement.format(", ".join("?" * runs))


@cache
def _rows(statement: str, rows: int, row: str) -> str:
    return statement.format(", ".join([row] * rows))


def _groups(runs: Sequence[str]) -> Iterator[list[bytes]]:
    for some in in_parts(runs, RUNS_AT_ONCE):
        yield [bytes.fromhex(run) for run in some]


def ledger(connection: sqlite3.Connection, runs: Sequence[str], boot: str) -> dict[str, LedgerRow]:
    """The ledger rows that exist; of another boot's rows without their owner: one process holds the file."""
    found: dict[str, LedgerRow] = {}
    for some in _groups(runs):
        for values in connection.execute(_of(_FIND, len(some)), some):
            row = rows_of.ledger_row(values)
            found[row.run] = row if row.boot == boot else row._replace(owner="", boot="")
    return found


def kept(connection: sqlite3.Connection, runs: Sequence[str]) -> dict[str, Kept]:
    """What is kept of these runs."""
    found = [connection.execute(_KEPT, (run,)).fetchone() for some in _groups(runs) for run in some]
    return {values[0].hex(): rows_of.kept(values[1:]) for values in found if values is not None}


def changed(connection: sqlite3.Connection, endings: Sequence[Ending]) -> set[int]:
    """Positions of endings whose ledger row is no longer as it was read, or has been written in the same call."""
    asked = [(at, row) for at, ending in enumerate(endings) for row in ending.ledger]
    if not asked:
        return set()
    versions: dict[str, int] = {}
    for some in _groups([row.run for _, row in asked]):
        versions.update((run.hex(), version) for run, version in connection.execute(_of(_VERSIONS, len(some)), some))
    others: set[int] = set()
    taken: set[str] = set()
    for at, row in asked:
        if row.run in taken or versions.get(row.run, 0) != row.version:
            others.add(at)
        taken.add(row.run)
    return others


def owns(connection: sqlite3.Connection, inbox: InboxWrite) -> bool:
    """Whether the run that writes this inbox row has its step, or is about none."""
    return not inbox.owner or (
        connection.execute(_OWNED, (bytes.fromhex(inbox.run), inbox.owner)).fetchone() is not None
    )


def write(connection: sqlite3.Connection, rows: Sequence[LedgerRow], now: float) -> None:
    """Write rows whose versions were compared in this transaction, and append what they keep."""
    keeps = [row for row in rows if row.keeps is not None]
    ids: Mapping[str, int] = {}
    if keeps:
        ids = dict(zip((row.run for row in keeps), count(connection.execute(_LAST_KEPT).fetchone()[0] + 1)))
    for some in in_parts(rows, RUNS_AT_ONCE):
        values = [value for row in some for value in rows_of.ledger_values(row, ids.get(row.run, row.kept), now)]
        connection.execute(_rows(_PUT, len(some), _ROW), values)
    for some in in_parts(keeps, RUNS_AT_ONCE):
        _keep(connection, some, ids)
    if replaced := [(row.kept,) for row in keeps if row.kept]:
        connection.executemany(_DROP, replaced)


def _keep(connection: sqlite3.Connection, rows: Sequence[LedgerRow], ids: Mapping[str, int]) -> None:
    values: list[object] = []
    for row in rows:
        assert row.keeps is not None
        values += (ids[row.run], bytes.fromhex(row.run), row.keeps.input, rows_of.text_of(row.keeps.results))
    connection.execute(_rows(_KEEP, len(rows), "(?, ?, ?, ?)"), values)


def begin(
    connection: sqlite3.Connection,
    inbox: Mapping[bytes, InboxRow],
    begins: Sequence[LedgerRow],
    runs: Sequence[str],
    boot: str,
    now: float,
) -> Admitted:
    """Begin what neither inbox nor ledger know, inside an open transaction."""
    known = ledger(connection, [*(row.run for row in begins), *runs], boot)
    fresh = [row for row in begins if row.run not in known and row.inbox_key not in inbox]
    write(connection, fresh, now)
    return Admitted(inbox, known, {row.run for row in fresh})
