# ruff: noqa: PT012 -- a transaction raises at its exit, so what raises is a block
"""Settings reach what the assembly makes."""

import asyncio
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from hocket import Service
from hocket.assembly import Assembly, drivers, hosted
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.errors import ConfigError, LeaseExpired
from hocket.store.postgres.store import PostgresStore


async def test_http_body_bytes(tmp_path: Path) -> None:
    """A larger body than `HOCKET_HTTP_BODY_BYTES` is answered 413."""
    door = Service("door", owner="team-tower")

    async def knock(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    @door.http
    def mount(app: web.Application) -> None:
        app.router.add_post("/knock", knock)

    url = f"sqlite:///{tmp_path}/{{service}}.db"
    assembly = Assembly(Config(broker_url="memory://", database_url=url, http_body_bytes=2048))
    part = await assembly.start(door, 0)
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{part.web.port}") as http:
            for size, status in ((2048, 200), (2049, 413)):
                async with http.post("/knock", data=b"x" * size) as answer:
                    assert answer.status == status
    finally:
        await assembly.close()


async def test_transaction_seconds_on_sqlite(tmp_path: Path) -> None:
    """A handler's transaction is rolled back after `HOCKET_TRANSACTION_SECONDS`."""
    config = Config(database_url=f"sqlite:///{tmp_path}/shop.db", transaction_seconds=0.1)
    store = drivers.store("shop", config, SystemClock(), "boot")
    await store.open()
    with pytest.raises(LeaseExpired, match=r"longer than 0\.1 s"):
        async with store.transaction() as tx:
            await tx.db()
            await asyncio.sleep(0.3)
    await store.close()


def test_the_settings_of_postgresql_reach_its_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pools, bounds and leases; what they do is shown in tests/hocket/store/postgres."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(PostgresStore, "__init__", lambda self, url, **words: given.update(words, url=url))
    config = Config(database_url="postgresql://shop:word@host/{service}", transaction_seconds=7, postgres_pool=3)
    drivers.store("shop", config, SystemClock(), "boot")
    assert given["url"] == "postgresql://shop:word@host/shop"
    assert (given["settings"], given["transaction_seconds"]) == (config, 7)


async def test_an_application_is_told_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """`hosted` reads the environment as `hocket run` does: one sentence, no traceback of pydantic's."""
    monkeypatch.setenv("HOCKET_STOP_SECONDS", "soon")
    with pytest.raises(ConfigError, match="HOCKET_STOP_SECONDS is 'soon': write a number from 0 to 3600"):
        async with hosted(Service("door", owner="team-tower")):
            pass


async def test_an_application_is_told_of_a_misspelt_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the log, and it starts."""
    monkeypatch.setenv("HOCKET_BROKER_URL", "memory://")
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    monkeypatch.setenv("HOCKET_STOP_SECOND", "3")
    async with hosted(Service("door", owner="team-tower")) as running:
        assert len(running.reasons()) < 3
    printed = capsys.readouterr()
    assert "HOCKET_STOP_SECOND is no setting and changes nothing; did you mean HOCKET_STOP_SECONDS?" in (
        printed.out + printed.err
    )
