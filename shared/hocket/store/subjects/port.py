"""The port to what a store knows of subjects, as an admission reads it (RULES 15)."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from hocket.store.subjects.rows import Latest


class Sight(NamedTuple):
    """The rows that exist of some keys, committed state; of the marks those that are done."""

    latest: Mapping[bytes, Latest]
    done: frozenset[bytes]


class SubjectStore(Protocol):
    """The rows of subjects; they are written with an `Ending`."""

    async def look(self, latest: Sequence[bytes], marks: Sequence[bytes]) -> Sight:
        """Look these keys up, in one round trip or hop, never behind a handler's query."""
        ...
