"""Looks up the rows of subjects on PostgreSQL, in one statement."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import asyncpg

from hocket.store.subjects.port import Sight
from hocket.store.subjects.rows import Latest

_LOOK = """SELECT key, field, value FROM hocket_latest WHERE key = ANY($1::bytea[])
UNION ALL SELECT key, NULL, NULL FROM hocket_marks WHERE key = ANY($2::bytea[]) AND done = 1"""


class PostgresSubjects:
    """A `hocket.store.subjects.port.SubjectStore`; `run` runs on a connection of the kit's pool."""

    def __init__(self, run: Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]) -> None:
        self._run = run

    async def look(self, latest: Sequence[bytes], marks: Sequence[bytes]) -> Sight:
        """Look these keys up."""
        found = await self._run(lambda kit: kit.fetch(_LOOK, list(latest), list(marks)))
        values = {bytes(key): Latest(field, bytes(value)) for key, field, value in found if field is not None}
        return Sight(values, frozenset(bytes(key) for key, field, _ in found if field is None))
