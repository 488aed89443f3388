"""Which attempts wait outside the database, on both databases."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import Table, insert, update

from deploy.database.server import PostgresServer
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.store.port import Store
from hocket.store.postgres.store import PostgresStore
from hocket.store.schema import INBOX, OUTBOX
from hocket.store.sqlite.store import SqliteStore
from hocket.store.tables.ordering import PARKED
from hocket.streams.refill.waiting import still_waiting, waiting_of


@asynccontextmanager
async def _opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Both databases."""
    boot = str(uuid4())
    if request.param == "sqlite":
        made: Store = SqliteStore(str(tmp_path / "waiting.db"), clock=SystemClock(), boot=boot)
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        settings = Config.model_construct(None)
        url, schema = server.url(), f"waiting_{uuid4().hex}"
        made = PostgresStore(url, clock=SystemClock(), boot=boot, schema=schema, settings=settings)
    async with _opened(made):
        yield made


def _row(table: Table, **given: Any) -> dict[str, Any]:
    """A row with nothing in it but what is given."""
    empty: dict[type, Any] = {str: "", bytes: b"", int: 0, float: 0.0}
    columns = [each for each in table.columns if not each.nullable and each.name != "id"]
    return {each.name: empty[each.type.python_type] for each in columns} | given


async def _keep(store: Store, *rows: tuple[Table, dict[str, Any]]) -> None:
    async with store.transaction() as tx:
        db = await tx.db()
        for table, row in rows:
            await db.execute(insert(table).values(**_row(table, **row)))


def _tried(key: bytes, queue: str = "a.b", state: str = "retry") -> tuple[Table, dict[str, Any]]:
    about = {"key": key, "subscription": queue, "state": state, "attempt": 1, "event_id": key.decode()}
    return INBOX, about | {"said": "[]", "history": "[]"}


async def test_what_no_row_here_will_send_waits_elsewhere(store: Store) -> None:
    """RULES 7.5 j: not what is final, due by the outbox, in the line of a subject, or another subscription's."""
    await _keep(
        store, _tried(b"1"), _tried(b"2", state="handled"), _tried(b"3", queue="a.other"), _tried(b"4"), _tried(b"5"),
        (OUTBOX, {"kind": "self", "inbox_key": b"4"}), (PARKED, {"subscription": "a.b", "key": b"5"}),
    )  # fmt: skip
    async with store.read() as db:
        found, after = await waiting_of(db, ["a.b"], 1000)
        assert [each.key for each in found] == [b"1"]
        assert after == b""
        assert await still_waiting(db, found) == found
    async with store.transaction() as tx:
        await (await tx.db()).execute(update(INBOX).where(INBOX.c.key == b"1").values(attempt=2))
    async with store.read() as db:
        assert await still_waiting(db, found) == [], "another attempt was recorded"


async def test_many_are_looked_at_in_parts(store: Store) -> None:
    """RULES 7.5 j: what is more than the bound is found from where the part before has ended."""
    await _keep(store, *(_tried(f"{number:04}".encode()) for number in range(1200)))
    keys, after, parts = list[bytes](), b"", 0
    while parts == 0 or after:
        async with store.read() as db:
            found, after = await waiting_of(db, ["a.b"], 500, after)
        keys += [each.key for each in found]
        parts += 1
    assert keys == [f"{number:04}".encode() for number in range(1200)]
    assert parts == 3
