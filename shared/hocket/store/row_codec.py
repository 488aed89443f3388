"""Converts records to column values, in the order of the columns, and back, for each of the kit's tables."""

import json
from typing import Any

import orjson

from hocket.broker.port import Message
from hocket.outcome import Attempt
from hocket.saga.ledger import Kept, LedgerRow, LedgerState
from hocket.store.records import InboxRow, InboxState, OutboxRow, RowKind


def text_of(parts: tuple[bytes, ...]) -> str:
    """Byte strings as a JSON array of texts, exact also where they are not UTF-8."""
    return _text([part.decode("utf-8", "surrogateescape") for part in parts]) if parts else "[]"


def _text(value: object) -> str:
    """A JSON text that `json.loads` reads as this value; the fast writer refuses halves of surrogate pairs."""
    try:
        return orjson.dumps(value).decode()
    except orjson.JSONEncodeError:
        return json.dumps(value)


def bytes_of(text: str) -> tuple[bytes, ...]:
    """What `text_of` wrote."""
    return tuple(part.encode("utf-8", "surrogateescape") for part in json.loads(text)) if text != "[]" else ()


def inbox_values(row: InboxRow, updated: float | None = None) -> tuple[Any, ...]:
    """An inbox row in the order of the columns; with `updated` in place of the row's own."""
    history = _text([_attempt_values(line) for line in row.history]) if row.history else "[]"
    return (
        row.key, row.subscription, row.event_id, row.state.value, row.attempt, row.base, row.version, row.data_hash,
        row.revision, row.correlation_id, _text(row.said) if row.said else "[]", row.death_id, int(row.spoke),
        history, row.updated if updated is None else updated,
    )  # fmt: skip


def _attempt_values(line: Attempt) -> list[object]:
    values: list[object] = [
        line.attempt, line.began, line.ended, line.word, line.cause, line.error, line.trace
    ]  # fmt: skip
    return [*values, line.probes] if line.probes else values


def inbox_row(values: tuple[Any, ...]) -> InboxRow:
    """What `inbox_values` wrote."""
    (key, subscription, event_id, state, attempt, base, version, data_hash, revision, correlation_id, said, death_id,
     spoke, history, updated) = values  # fmt: skip
    return InboxRow(
        key, subscription, event_id, InboxState(state), attempt, base, version, data_hash, revision, correlation_id,
        tuple(json.loads(said)), death_id, bool(spoke), tuple(Attempt(*line) for line in json.loads(history)), updated,
    )  # fmt: skip


def outbox_values(row: OutboxRow, owner: str | None, due: float) -> tuple[Any, ...]:
    """An outbox row in the order of the columns, due at this moment."""
    message = row.message
    return (
        row.id, row.kind.value, due, owner, row.event_id, row.subject, row.inbox_key, row.schedule,
        message.exchange, message.routing_key, message.body, message.content_type,
        _text(dict(message.headers)) if message.headers else "{}", message.type, message.correlation_id,
        message.app_id, message.timestamp, row.wait,
    )  # fmt: skip


def outbox_row(values: tuple[Any, ...]) -> OutboxRow:
    """What `outbox_values` wrote."""
    (id, kind, due, _owner, event_id, subject, inbox_key, schedule, exchange, routing_key, body, content_type,
     headers, type, correlation_id, app_id, timestamp, wait) = values  # fmt: skip
    message = Message(
        exchange, routing_key, body, content_type, json.loads(headers), type, correlation_id, app_id, timestamp
    )
    return OutboxRow(RowKind(kind), message, due, event_id, subject, inbox_key, schedule, wait, id)


def ledger_values(row: LedgerRow, kept: int, updated: float) -> tuple[Any, ...]:
    """A ledger row as it is written, in the order of the columns: in its next version."""
    return (
        bytes.fromhex(row.run), row.correlation_id, row.step, row.scope, row.state.value, row.owner, row.boot,
        row.inbox_key, row.failure, row.generation, kept, row.version + 1, updated,
    )  # fmt: skip


def ledger_row(values: tuple[Any, ...]) -> LedgerRow:
    """What `ledger_values` wrote."""
    (run, correlation_id, step, scope, state, owner, boot, inbox_key, failure, generation, kept, version,
     updated) = values  # fmt: skip
    return LedgerRow(
        run.hex(), correlation_id, step, scope, LedgerState(state), owner, boot, inbox_key, failure, generation, kept,
        version, updated,
    )  # fmt: skip


def kept(values: tuple[Any, ...]) -> Kept:
    """What an undo needs, of its two columns."""
    input, results = values
    return Kept(input, bytes_of(results))
