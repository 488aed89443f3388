"""A service that hears history and keeps a book of it, and one that says what becomes history."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from hocket import Service, Tx
from hocket.config import Config
from hocket.declarations.subscription import Since
from hocket.streams.backfill.state import Backfill
from hocket.worker import Worker
from tests.hocket.sample_services import BRIEF, Processes, Rung, booked, tables, tolled

#: Seconds after the binding at which the log is marked in these tests: far less than the default, under virtual time.
MARK = 60.0
QUEUE = "annals.write"


async def nothing(rung: Rung, tx: Tx) -> None:
    """What a handler does before it writes, unless a test asks for more."""


@dataclass
class Book:
    """What the handler does, and which of what it heard was history, in the order of its runs."""

    before: Callable[[Rung, Tx], Awaitable[Any]] = nothing
    heard: list[tuple[str, bool]] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        """The names alone."""
        return [name for name, _ in self.heard]


def annals(book: Book, since: Since = "first", **options: Any) -> Service:
    """A service whose one handler hears history and writes a row for each event."""
    made = Service("annals", owner="team-annals", tables=tables)

    @made.handler(retry=BRIEF, since=since, concurrency=1, **options)
    async def write(rung: Rung, tx: Tx) -> None:
        await book.before(rung, tx)
        book.heard.append((rung.name, tx.replaying))
        await (await tx.db()).execute(insert(tolled).values(name=rung.name))

    return made


async def say(tower: Processes, *names: str) -> None:
    """Events that become history."""
    for name in names:
        await tower.hear(Rung(name=name), f"key of {name}")


async def row_of(worker: Worker) -> Backfill:
    """The row of its backfill."""
    row = await worker.backfills.rows.of(QUEUE)
    assert row is not None
    return row


async def written(worker: Worker) -> list[str]:
    """The book that the handler's transactions have written."""
    return await booked(worker)


def quick(**settings: Any) -> Config:
    """Settings of these tests."""
    return Config.model_construct(**settings)


MINUTE = timedelta(minutes=1)
