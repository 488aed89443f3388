"""A subscription on PostgreSQL whose table is missing or forbidden: it pauses, says so, and goes on by itself."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from sqlalchemy import text

from deploy.database.server import PostgresServer
from hocket import Event, Heard, Service, Tx
from hocket.assembly import Assembly
from hocket.config import Config
from hocket.resilience.same_fault import FAILURES

PATIENCE = 60.0
ORDERS = 60
ROLE, PASSWORD = "app_of_pauses", "app"


class Placed(Event, type="paused.placed", subject="order/{name}"):
    """An order."""

    name: str


class PlacedHeard(Heard, type="paused.placed"):
    """The same, as it is heard."""

    name: str


async def _as_a_role_without_rights(sql: Callable[[str], Awaitable[str]], url: str, name: str) -> str:
    """The address for a role that owns nothing."""
    await sql(f"DROP ROLE IF EXISTS {ROLE}")
    await sql(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
    await sql(f'GRANT ALL ON SCHEMA public TO {ROLE}; GRANT ALL ON DATABASE "{name}" TO {ROLE}')
    parts = urlsplit(url)
    return parts._replace(netloc=f"{ROLE}:{PASSWORD}@{parts.netloc.rpartition('@')[2]}").geturl()


@pytest.mark.parametrize(("case", "code"), [("missing", "42P01"), ("forbidden", "42501")])
async def test_it_pauses_and_goes_on_by_itself(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch, case: str, code: str
) -> None:
    """RULES 6.11: no attempt beyond the row is used and nothing dies; then every event is handled once."""
    monkeypatch.setattr("hocket.resilience.same_fault.PAUSE", timedelta(seconds=1))
    books = Service("books", owner="team-books")
    books.says(Placed)
    calls: list[str] = []

    @books.handler
    async def enter(order: PlacedHeard, tx: Tx) -> None:
        calls.append(order.name)
        await (await tx.db()).execute(text("INSERT INTO entries VALUES (:name)"), {"name": order.name})

    name = f"pauses_{uuid4().hex}"
    url = postgres.add_database(name)

    async def sql(statement: str) -> str:
        return await asyncio.to_thread(postgres.sql, statement, name)

    url = await _as_a_role_without_rights(sql, url, name)
    if case == "forbidden":
        await sql("CREATE TABLE entries (name text)")
    assembly = Assembly(Config().model_copy(update={"broker_url": "memory://", "database_url": url}))
    try:
        worker = (await assembly.start(books, 0)).worker
        async with asyncio.timeout(PATIENCE):
            while worker.health():  # noqa: ASYNC110 -- no moment to wait for
                await asyncio.sleep(0.02)
            for number in range(ORDERS):
                async with books.tx() as tx:
                    tx.say(Placed(name=str(number)))
            while not worker.health():  # noqa: ASYNC110 -- as above
                await asyncio.sleep(0.02)
        [reason] = worker.health()
        how = f"ProgrammingError {code} at test_pauses.py:"
        assert reason.startswith(f"books.enter is paused: its deliveries fail the same way, {how}")
        await asyncio.sleep(4)  # several probes
        assert await sql("SELECT state, sum(attempt) FROM hocket_inbox GROUP BY state") == f"retry|{FAILURES}"
        assert len(calls) < 32 + 10
        await sql(f"CREATE TABLE IF NOT EXISTS entries (name text); GRANT ALL ON entries TO {ROLE}")
        async with asyncio.timeout(PATIENCE):
            while worker.health() or await sql("SELECT count(*) FROM entries") != str(ORDERS):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert await sql("SELECT count(DISTINCT name) FROM entries") == str(ORDERS)
        assert await sql("SELECT count(*) FROM hocket_inbox WHERE state = 'handled'") == str(ORDERS)
    finally:
        await assembly.close()
        postgres.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        postgres.sql(f"DROP ROLE {ROLE}")
