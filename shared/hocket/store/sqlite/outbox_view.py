"""Reads a service's outbox in an SQLite file from another process, for `hocket outbox`, and retries refused rows.

It does not take the lock that the running service holds: it reads committed data, and writes one short statement.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from hocket.errors import ConfigError
from hocket.store.records import OutboxViewRow, RowKind
from hocket.store.sql import VIEW_COUNTS, VIEW_RETRY, VIEW_ROWS, question_marks
from hocket.store.sqlite.errors import sentence

#: Milliseconds to wait for the running service's own commit.
BUSY_MILLISECONDS = 5000

_COUNTS, _ROWS = VIEW_COUNTS.format(now="?"), question_marks(VIEW_ROWS)


class SqliteOutboxView:
    """The outbox in one SQLite file; `ConfigError` where there is none."""

    def __init__(self, path: str) -> None:
        self._path = path
        if not Path(path).is_file():
            raise ConfigError(f"there is no database {path}: name a service that has run here, or sqlite:///PATH")

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
                connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
                if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'hocket_outbox'").fetchone():
                    raise ConfigError(f"database {self._path} has no outbox: it is no database of a hocket service")
                yield connection
        except sqlite3.Error as error:
            raise ConfigError(sentence(self._path, error)) from error

    def counts(self) -> list[tuple[str, str, int, float]]:
        """(kind, due | later | refused, how many, oldest due moment), by the machine's clock."""
        with self._open() as connection:
            return [tuple(row) for row in connection.execute(_COUNTS, (time.time(),))]

    def rows(self, limit: int, *, refused: bool = False) -> list[OutboxViewRow]:
        """The first rows: the refused ones, then by the moment they are due."""
        with self._open() as connection:
            found = connection.execute(_ROWS, (refused, limit)).fetchall()
        return [OutboxViewRow(id, RowKind(kind), *rest) for id, kind, *rest in found]

    def retry(self, ids: Sequence[int]) -> int:
        """Let refused rows be published again, those with these ids or (none) all; how many there were."""
        with self._open() as connection:
            if not ids:
                return connection.execute(VIEW_RETRY).rowcount
            return sum(connection.execute(f"{VIEW_RETRY} AND id = ?", (id,)).rowcount for id in ids)
