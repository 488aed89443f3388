"""The kit's tables in SQLite, and how a row of each becomes a value and back."""

import json
import sqlite3
from typing import Any

from hocket.errors import ConfigError
from hocket.outcome import Attempt
from hocket.saga import LedgerRow, LedgerState
from hocket.store import InboxRow, InboxState, OutboxRow, RowKind
from hocket.transport import Message

#: Version of the tables below, kept in `hocket_meta`.
SCHEMA = 1

#: `hocket_outbox_owned` holds what is due and unconfirmed, `hocket_outbox_later` what waits for its time: both cover
#: the counts, so that a million timers cost the relay nothing.
TABLES = """
CREATE TABLE IF NOT EXISTS hocket_meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hocket_inbox (
    key BLOB PRIMARY KEY, subscription TEXT NOT NULL, event_id TEXT NOT NULL, state TEXT NOT NULL,
    attempt INTEGER NOT NULL, base INTEGER NOT NULL, version INTEGER NOT NULL, data_hash BLOB NOT NULL,
    revision INTEGER NOT NULL, correlation_id TEXT NOT NULL, said TEXT NOT NULL, death_id TEXT NOT NULL,
    spoke INTEGER NOT NULL, history TEXT NOT NULL, updated REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hocket_outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, due REAL NOT NULL, owner TEXT, event_id TEXT NOT NULL,
    subject TEXT NOT NULL, inbox_key BLOB NOT NULL, schedule TEXT NOT NULL, exchange TEXT NOT NULL,
    routing_key TEXT NOT NULL, body BLOB NOT NULL, content_type TEXT NOT NULL, headers TEXT NOT NULL,
    type TEXT NOT NULL, correlation_id TEXT NOT NULL, app_id TEXT NOT NULL, timestamp REAL NOT NULL, refused TEXT
) STRICT;
CREATE INDEX IF NOT EXISTS hocket_outbox_owned ON hocket_outbox (id, kind, due)
    WHERE owner IS NOT NULL AND refused IS NULL;
CREATE INDEX IF NOT EXISTS hocket_outbox_later ON hocket_outbox (due, id, kind, owner, refused)
    WHERE owner IS NULL AND refused IS NULL;
CREATE INDEX IF NOT EXISTS hocket_outbox_schedule ON hocket_outbox (schedule) WHERE schedule <> '' AND owner IS NULL;
CREATE INDEX IF NOT EXISTS hocket_outbox_refused ON hocket_outbox (id) WHERE refused IS NOT NULL;
CREATE TABLE IF NOT EXISTS hocket_ledger (
    run TEXT PRIMARY KEY, correlation_id TEXT NOT NULL, step TEXT NOT NULL, scope TEXT NOT NULL, state TEXT NOT NULL,
    owner TEXT NOT NULL, boot TEXT NOT NULL, inbox_key BLOB NOT NULL, step_key TEXT NOT NULL, input BLOB NOT NULL,
    results TEXT NOT NULL, failure BLOB NOT NULL, generation INTEGER NOT NULL, updated REAL NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hocket_offsets (
    reader TEXT PRIMARY KEY, next INTEGER NOT NULL, token TEXT NOT NULL
) STRICT, WITHOUT ROWID;
"""


def create(connection: sqlite3.Connection, path: str) -> None:
    """Make the kit's tables where absent; `ConfigError` where a newer hocket has made them."""
    connection.execute("BEGIN IMMEDIATE")
    for statement in TABLES.split(";"):
        connection.execute(statement)
    connection.execute("INSERT OR IGNORE INTO hocket_meta (name, value) VALUES ('schema', ?)", (str(SCHEMA),))
    found = int(connection.execute("SELECT value FROM hocket_meta WHERE name = 'schema'").fetchone()[0])
    connection.execute("COMMIT")
    if found != SCHEMA:
        raise ConfigError(
            f"database {path} has tables of schema {found}, this hocket knows schema {SCHEMA}: "
            "install the hocket that made them, or name another file"
        )


def text_of(parts: tuple[bytes, ...]) -> str:
    """Byte strings as a JSON array of texts, exact also where they are not UTF-8."""
    return json.dumps([part.decode("utf-8", "surrogateescape") for part in parts]) if parts else "[]"


def bytes_of(text: str) -> tuple[bytes, ...]:
    """What `text_of` wrote."""
    return tuple(part.encode("utf-8", "surrogateescape") for part in json.loads(text)) if text != "[]" else ()


def inbox_values(row: InboxRow) -> tuple[Any, ...]:
    """An inbox row in the order of the columns."""
    history = json.dumps([_attempt_values(line) for line in row.history]) if row.history else "[]"
    return (
        row.key, row.subscription, row.event_id, row.state.value, row.attempt, row.base, row.version, row.data_hash,
        row.revision, row.correlation_id, json.dumps(row.said) if row.said else "[]", row.death_id, int(row.spoke),
        history, row.updated,
    )  # fmt: skip


def _attempt_values(line: Attempt) -> list[object]:
    return [line.attempt, line.began, line.ended, line.word, line.cause, line.error, line.trace]


def inbox_row(values: tuple[Any, ...]) -> InboxRow:
    """What `inbox_values` wrote."""
    (key, subscription, event_id, state, attempt, base, version, data_hash, revision, correlation_id, said, death_id,
     spoke, history, updated) = values  # fmt: skip
    return InboxRow(
        key, subscription, event_id, InboxState(state), attempt, base, version, data_hash, revision, correlation_id,
        tuple(json.loads(said)), death_id, bool(spoke), tuple(Attempt(*line) for line in json.loads(history)), updated,
    )  # fmt: skip


def outbox_values(row: OutboxRow, owner: str | None) -> tuple[Any, ...]:
    """An outbox row in the order of the columns."""
    message = row.message
    return (
        row.id, row.kind.value, row.due, owner, row.event_id, row.subject, row.inbox_key, row.schedule,
        message.exchange, message.routing_key, message.body, message.content_type,
        json.dumps(dict(message.headers)) if message.headers else "{}", message.type, message.correlation_id,
        message.app_id, message.timestamp,
    )  # fmt: skip


def outbox_row(values: tuple[Any, ...]) -> OutboxRow:
    """What `outbox_values` wrote."""
    (id, kind, due, _owner, event_id, subject, inbox_key, schedule, exchange, routing_key, body, content_type, headers,
     type, correlation_id, app_id, timestamp) = values  # fmt: skip
    message = Message(
        exchange, routing_key, body, content_type, json.loads(headers), type, correlation_id, app_id, timestamp
    )
    return OutboxRow(RowKind(kind), message, due, event_id, subject, inbox_key, schedule, id)


def ledger_values(row: LedgerRow) -> tuple[Any, ...]:
    """A ledger row in the order of the columns."""
    return (
        row.run, row.correlation_id, row.step, row.scope, row.state.value, row.owner, row.boot, row.inbox_key,
        row.step_key, row.input, text_of(row.results), row.failure, row.generation, row.updated,
    )  # fmt: skip


def ledger_row(values: tuple[Any, ...]) -> LedgerRow:
    """What `ledger_values` wrote."""
    (run, correlation_id, step, scope, state, owner, boot, inbox_key, step_key, input, results, failure, generation,
     updated) = values  # fmt: skip
    return LedgerRow(
        run, correlation_id, step, scope, LedgerState(state), owner, boot, inbox_key, step_key, input,
        bytes_of(results), failure, generation, updated,
    )  # fmt: skip
