"""Looks up the rows of subjects on SQLite, in one hop."""

import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from hocket.store.sqlite.connection import in_parts
from hocket.store.subjects.port import Sight
from hocket.store.subjects.rows import Latest

#: Keys of one statement.
KEYS_AT_ONCE = 128
_LATEST = "SELECT key, field, value FROM hocket_latest WHERE key IN ({})"
_DONE = "SELECT key FROM hocket_marks WHERE done = 1 AND key IN ({})"


class SqliteSubjects:
    """A `hocket.store.subjects.port.SubjectStore`; `lookup` runs on the connection of the kit's own look-ups."""

    def __init__(self, lookup: Callable[[Callable[[sqlite3.Connection], Any]], Awaitable[Any]]) -> None:
        self._lookup = lookup

    async def look(self, latest: Sequence[bytes], marks: Sequence[bytes]) -> Sight:
        """Look these keys up."""
        sight: Sight = await self._lookup(lambda connection: _look(connection, latest, marks))
        return sight


def _look(connection: sqlite3.Connection, latest: Sequence[bytes], marks: Sequence[bytes]) -> Sight:
    values = {key: Latest(field, value) for key, field, value in _rows(connection, _LATEST, latest)}
    return Sight(values, frozenset(key for (key,) in _rows(connection, _DONE, marks)))


def _rows(connection: sqlite3.Connection, statement: str, keys: Sequence[bytes]) -> list[Any]:
    found: list[Any] = []
    for some in in_parts(keys, KEYS_AT_ONCE):
        found += connection.execute(statement.format(", ".join("?" * len(some))), some).fetchall()
    return found
