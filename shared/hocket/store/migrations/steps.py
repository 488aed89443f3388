"""Migrates the kit's tables to the next schema, by Alembic; imported only where there is something to migrate.

Expand, then contract (RULES 10.3): a step adds, so that a process of the schema before still works with it; what is no
longer used goes two schemas later, with `LEAST` raised in the same step.
"""

from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, inspect, text
from sqlalchemy.schema import CreateColumn

from hocket.store.migrations.ledger import move_ledger
from hocket.store.schema import (
    ADDED_5,
    BREAKERS,
    INBOX,
    LEAST,
    OUTBOX,
    OWNERS,
    SCHEMA,
    TIMERS,
    index_statement,
    statements,
)


def _owners(op: Operations) -> None:
    """Schema 2: owners with a lease each, and the least code version beside the schema's."""
    for statement in statements(op.get_bind().dialect, (OWNERS,)):
        op.execute(statement)


def _waits(op: Operations) -> None:
    """Schema 3: how long a row or a lease was to wait, beside the moment (RULES 11.2); older rows have 0."""
    for table in (OUTBOX, OWNERS):
        if "wait" not in {each["name"] for each in inspect(op.get_bind()).get_columns(table.name)}:
            op.execute(f"ALTER TABLE {table.name} ADD COLUMN {CreateColumn(table.c.wait).compile(op.get_bind())}")
    [index] = [each for each in OUTBOX.indexes if each.name == "hocket_outbox_waits"]
    op.execute(index_statement(op.get_bind().dialect, index))


def _sagas(op: Operations) -> None:
    """Schema 4: durable time-outs, breakers whose state the replicas share, and a narrow ledger with versions."""
    for statement in statements(op.get_bind().dialect, (TIMERS, BREAKERS)):
        op.execute(statement)
    move_ledger(op)


def _edges(op: Operations) -> None:
    """Schema 5: tables that are new, and an index of the inbox; no column that stood there changes."""
    absent = tuple(each for each in ADDED_5 if not inspect(op.get_bind()).has_table(each.name))
    if absent:
        for statement in statements(op.get_bind().dialect, absent):
            op.execute(statement)
    there = {each["name"] for each in inspect(op.get_bind()).get_indexes(INBOX.name)}
    for index in INBOX.indexes:
        if index.name not in there:
            op.execute(index_statement(op.get_bind().dialect, index))


#: For each schema, what migrates the one before to it.
STEPS: dict[int, Callable[[Operations], None]] = {2: _owners, 3: _waits, 4: _sagas, 5: _edges}


def migrate(connection: Connection, found: int) -> None:
    """Migrate the tables from schema `found` to this code's, inside the transaction that is open."""
    op = Operations(MigrationContext.configure(connection))
    for schema in range(found + 1, SCHEMA + 1):
        STEPS[schema](op)
    stamp = text(
        "INSERT INTO hocket_meta (name, value) VALUES (:name, :value) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
    for name, value in (("schema", SCHEMA), ("least", LEAST)):
        connection.execute(stamp, {"name": name, "value": str(value)})
