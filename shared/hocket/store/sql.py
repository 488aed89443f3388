"""SQL that both drivers run, also the cancelling of scheduled rows: written once, with PostgreSQL's parameters.

Each parameter stands once and in order, so that `question_marks` makes SQLite's form of it. What a database needs for
its own indexes, locks or batches stays in the driver: `store/sqlite/statements.py`, `store/postgres/sql.py`.
"""

import re

from sqlalchemy import Table

from hocket.store.purge import EMPTIED_RUNS_SQL
from hocket.store.schema import BREAKERS, INBOX, LEDGER, OUTBOX


def names_of(table: Table, *without: str) -> list[str]:
    """The names of the columns, in the order in which `row_codec` writes and reads them."""
    return [column.name for column in table.columns if column.name not in without]


def overwritten(names: list[str]) -> str:
    """The SET list of an upsert: each column but the first, the key, takes the new value."""
    return ", ".join(f"{name} = excluded.{name}" for name in names[1:])


def question_marks(statement: str) -> str:
    """The statement with `?` for each parameter."""
    return re.sub(r"\$\d+", "?", statement)


INBOX_NAMES = names_of(INBOX)
OUTBOX_NAMES = names_of(OUTBOX, "refused")
LEDGER_NAMES = names_of(LEDGER)
BREAKER_NAMES = names_of(BREAKERS)

#: What `hocket_meta` says of the tables.
META = "SELECT name, value FROM hocket_meta"

#: The store's clock stands last, where SQLite has a parameter and PostgreSQL its `clock_timestamp()`.
NEXT_DUE = "SELECT min(due) - {now} FROM hocket_outbox WHERE owner IS NULL AND refused IS NULL"
REFUSE = "UPDATE hocket_outbox SET refused = $1 WHERE id = $2"
CANCEL = """DELETE FROM hocket_outbox
WHERE schedule = $1 AND schedule <> '' AND owner IS NULL AND refused IS NULL AND due > {now}"""

#: What was given for some seconds is no further away, unless a clock that was ahead has put it there (RULES 11.2).
PUT_RIGHT = """UPDATE hocket_outbox SET due = {now} + wait WHERE id IN (SELECT id FROM hocket_outbox
WHERE owner IS NULL AND refused IS NULL AND wait > 0 AND due - wait > {now} + 0.001
ORDER BY due - wait DESC LIMIT {limit} {lock})"""

#: How far the inbox has forgotten, in seconds since 1970, and when a sweep last ended (RULES 2.7).
HORIZON = "SELECT value FROM hocket_meta WHERE name = 'horizon'"
SWEPT = "SELECT value FROM hocket_meta WHERE name = 'swept'"
STAMP = """INSERT INTO hocket_meta (name, value) VALUES ({name}, {value})
ON CONFLICT (name) DO UPDATE SET value = excluded.value"""

OFFSET = "SELECT next, token FROM hocket_offsets WHERE reader = $1"
ADVANCE = "UPDATE hocket_offsets SET next = $1, token = $2 WHERE reader = $3 AND next = $4 AND token = $5"
FIRST_OFFSET = "INSERT INTO hocket_offsets (next, token, reader) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING"

#: The next rows of a purge, by their key.
OLD_INBOX = "SELECT key, state, updated FROM hocket_inbox WHERE key > $1 AND key < $2 ORDER BY key LIMIT $3"
OLD_LEDGER = """SELECT run, state, updated, step, kept > 0 OR length(failure) > 0 AS whole, scope
FROM hocket_ledger WHERE run > $1 ORDER BY run LIMIT $2"""

#: What is kept of these runs for an undo.
KEPT = """SELECT l.run, k.input, k.results FROM hocket_ledger l JOIN hocket_kept k ON k.id = l.kept
WHERE l.run = {runs}"""

#: Nothing of a run that has nothing left to undo is kept for long (RULES 5.4).
EMPTIED = f"""state IN ({EMPTIED_RUNS_SQL}) AND updated < {{before}}"""

#: The outbox as `hocket outbox` shows it.
VIEW_COUNTS = """SELECT kind, CASE WHEN refused IS NOT NULL THEN 'refused' WHEN due > {now} THEN 'later' ELSE 'due' END,
count(*), min(due) FROM hocket_outbox GROUP BY 1, 2 ORDER BY 2, 1"""
VIEW_ROWS = """SELECT id, kind, due, coalesce(owner, ''), coalesce(refused, ''), refused IS NOT NULL, event_id, subject,
exchange, routing_key, length(body) FROM hocket_outbox WHERE (refused IS NOT NULL) >= $1
ORDER BY refused IS NULL, due, id LIMIT $2"""
VIEW_RETRY = "UPDATE hocket_outbox SET refused = NULL, owner = NULL WHERE refused IS NOT NULL"
