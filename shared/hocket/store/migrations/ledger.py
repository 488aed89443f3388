"""Moves the ledger of schema 3, one wide row a run under a random text, into the narrow one with what is kept aside."""

from typing import Any

from alembic.operations import Operations
from sqlalchemy import Connection, insert, text

from hocket.envelope.keys import timed_run
from hocket.saga.ledger import LedgerState
from hocket.store.schema import KEPT, LEDGER, statements

#: Rows that are in memory at once while they move.
MOVED_ROWS = 500
#: States in which input and results are needed: the run may still be undone.
_KEPT = {LedgerState.DONE, LedgerState.UNSURE, LedgerState.UNDOING}
_SAME = ("correlation_id", "step", "scope", "state", "owner", "boot", "inbox_key", "failure", "generation", "updated")
_NEXT = text("SELECT * FROM hocket_ledger_3 WHERE run > :after ORDER BY run LIMIT :rows")


def move_ledger(op: Operations) -> None:
    """Move every run in bounded steps, inside the transaction that is open."""
    connection = op.get_bind()
    op.rename_table("hocket_ledger", "hocket_ledger_3")
    for statement in statements(connection.dialect, (LEDGER, KEPT)):
        op.execute(statement)
    after, kept = "", 0
    while rows := connection.execute(_NEXT, {"after": after, "rows": MOVED_ROWS}).mappings().all():
        after = rows[-1]["run"]
        kept = _move(connection, [dict(row) for row in rows], kept)
    op.drop_table("hocket_ledger_3")
    if connection.dialect.name == "postgresql":
        op.execute("ALTER INDEX IF EXISTS hocket_ledger_pkey1 RENAME TO hocket_ledger_pkey")
        op.execute(f"SELECT setval('hocket_kept_id_seq', {kept + 1}, false)")


def _move(connection: Connection, rows: list[dict[str, Any]], kept: int) -> int:
    """Write these rows of the old ledger into the new one; the last id of what is kept."""
    runs, keeps = [], []
    for row in rows:
        run, number = bytes.fromhex(timed_run(row["correlation_id"], row["run"])), 0
        if row["state"] in _KEPT:
            kept = number = kept + 1
            keeps.append({"id": kept, "run": run, "input": row["input"], "results": row["results"]})
        runs.append({"run": run, "kept": number, "version": 1} | {name: row[name] for name in _SAME})
    connection.execute(insert(LEDGER), runs)
    if keeps:
        connection.execute(insert(KEPT), keeps)
    return kept
