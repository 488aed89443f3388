"""Migrates the kit's tables to the next schema, by Alembic; imported only where there is something to migrate.

Expand, then contract (RULES 10.3): a step adds, so that a process of the schema before still works with it; what is no
longer used goes two schemas later, with `LEAST` raised in the same step.
"""

from collections.abc import Callable

from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, text

from hocket.store.schema import LEAST, OWNERS, SCHEMA, statements


def _owners(op: Operations) -> None:
    """Schema 2: owners with a lease each, and the least code version beside the schema's."""
    for statement in statements(op.get_bind().dialect, (OWNERS,)):
        op.execute(statement)


#: For each schema, what migrates the one before to it.
STEPS: dict[int, Callable[[Operations], None]] = {2: _owners}


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
