"""The applications of docs/adopting.md, run as they stand there."""

import asyncio
import importlib
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from aiohttp import ClientSession, web
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

GUIDE = Path(__file__).parent.parent / "docs" / "adopting.md"
#: Seconds after which something that is waited for will not come.
PATIENCE = 20.0
BLOCK = re.compile(r"```python\n# (\w+)\.py\n(.*?)```", re.DOTALL)


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Writes the guide's files into a folder and imports one of them."""
    names = []
    for name, code in BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
        (tmp_path / f"{name}.py").write_text(code, encoding="utf-8")
        names.append(name)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HOCKET_BROKER_URL", "memory://")
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path / 'shop.db'}")
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def database(tmp_path: Path) -> str:
    """The application's address of the service's own database."""
    return f"sqlite+aiosqlite:///{tmp_path / 'shop.db'}"


async def published(tmp_path: Path) -> tuple[list[str], int]:
    """The application's rows and the number of keys, once no event waits any more."""
    engine = create_async_engine(database(tmp_path))
    try:
        async with asyncio.timeout(PATIENCE), engine.connect() as connection:
            waiting = text("SELECT count(*) FROM hocket_outbox WHERE kind = 'event'")
            while (await connection.execute(waiting)).scalar():
                await connection.rollback()
                await asyncio.sleep(0.02)
            rows = [row.id for row in await connection.execute(text("SELECT id FROM shop_orders ORDER BY id"))]
            said = "SELECT count(*) FROM hocket_inbox WHERE said <> '[]'"
            return rows, int((await connection.execute(text(said))).scalar_one())
    finally:
        await engine.dispose()


async def test_the_aiohttp_application(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """What a request writes and what it says are committed together; the same request again, or five at once, is one.

    A request that fails says nothing.
    """
    runner = web.AppRunner(load("shop_aiohttp").make_app(database(tmp_path)))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        host, port = runner.addresses[0][:2]
        async with ClientSession(f"http://{host}:{port}") as http:
            for order_id, status in (("1", 201), ("2", 201), ("1", 200)):
                answer = await http.post("/orders", json={"order_id": order_id})
                assert answer.status == status
            asked = await asyncio.gather(*(http.post("/orders", json={"order_id": "3"}) for _ in range(5)))
            statuses = sorted(answer.status for answer in asked)
            assert statuses.count(201) == 1
            assert set(statuses) <= {200, 201, 409}
            again = await http.post("/orders", json={"order_id": "3"})
            assert (again.status, (await again.json())["order_id"]) == (200, "3")
            failed = await http.post("/orders", json={"order": "4"})
            assert failed.status == 500
        assert await published(tmp_path) == (["1", "2", "3"], 3)
    finally:
        await runner.cleanup()


async def lifespan(app: Any) -> AsyncIterator[None]:
    """Start and stop an ASGI application in a task of its own, as servers do."""
    inbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    outbox: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    task = asyncio.create_task(app({"type": "lifespan", "asgi": {"version": "3.0"}}, inbox.get, outbox.put))
    await inbox.put({"type": "lifespan.startup"})
    assert await asyncio.wait_for(outbox.get(), PATIENCE) == {"type": "lifespan.startup.complete"}
    yield
    await inbox.put({"type": "lifespan.shutdown"})
    assert await asyncio.wait_for(outbox.get(), PATIENCE) == {"type": "lifespan.shutdown.complete"}
    await task


async def post(app: Any, path: str) -> tuple[int, Any]:
    """One request to an ASGI application."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "query_string": b""}
    await app(
        {**scope, "headers": [], "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http"}, receive, send
    )
    return sent[0]["status"], json.loads(b"".join(each.get("body", b"") for each in sent[1:]))


async def test_the_fastapi_application(load: Callable[[str], ModuleType], tmp_path: Path) -> None:
    """The same where a request is another task than the one that started the application."""
    pytest.importorskip("fastapi", reason="FastAPI is not installed: the guide's second application was not run")
    app = load("shop_fastapi").make_app(database(tmp_path))
    async for _ in lifespan(app):
        status, answer = await post(app, "/orders/7")
        assert (status, answer["order_id"]) == (201, "7")
        assert (await post(app, "/orders/7"))[0] == 200
        assert app.state.hocket.reasons() == []
        assert await published(tmp_path) == (["7"], 1)
