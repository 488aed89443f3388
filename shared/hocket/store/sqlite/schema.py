"""The kit's tables in one SQLite file: made where absent, migrated where an earlier hocket made them."""

import sqlite3

from sqlalchemy import create_engine
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.pool import StaticPool

from hocket.errors import ConfigError
from hocket.store import schema
from hocket.store.sql import META
from hocket.store.sqlite.connection import begin, write_transaction

_IS_THERE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'hocket_meta'"


def create(connection: sqlite3.Connection, path: str) -> None:
    """Make or migrate the kit's tables, whole or not at all; the file's lock keeps other processes out.

    `ConfigError` where a later hocket has made them and says that this one is too old for them.
    """
    with write_transaction(connection):
        if connection.execute(_IS_THERE).fetchone() is None:
            _make(connection)
        else:
            _migrate(connection, path)


def _make(connection: sqlite3.Connection) -> None:
    for statement in schema.statements(sqlite_dialect.dialect()):
        connection.execute(statement)
    connection.executemany("INSERT INTO hocket_meta (name, value) VALUES (?, ?)", schema.stamps().items())


def _migrate(connection: sqlite3.Connection, path: str) -> None:
    found = dict(connection.execute(META).fetchall())
    if sentence := schema.refusal(path, found):
        raise ConfigError(sentence)
    if int(found["schema"]) >= schema.SCHEMA:
        return
    from hocket.store.migrations.steps import migrate

    engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool, pool_reset_on_return=None)
    session = engine.connect()  # rolls back as it begins, hence the next line
    begin(connection)
    migrate(session, int(found["schema"]))
    session.detach()
