"""A service with commands that do what a test asks for, and replicas of it that serve."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select, text

from hocket import Event, Outside, Service
from hocket.assembly import Assembly
from hocket.assembly.process import StartedService
from hocket.broker.memory import MemoryTransport
from hocket.broker.topology import LOG
from hocket.config import Config
from hocket.envelope import Envelope, decode
from hocket.testing.play import PSEUDONYM_KEY
from tests.hocket.sample_services import until

#: Seconds after which something that is waited for will not come.
PATIENCE = 20.0

tables = MetaData()
sales = Table("sales", tables, Column("id", Integer, primary_key=True), Column("what", String, nullable=False))


class Sold(Event, type="till.sold", subject="till/{what}"):
    what: str


async def answers(request: web.Request, tx: Outside["World"]) -> web.StreamResponse:
    """What a command does unless a test says else: writes, says, answers."""
    what = (await request.json())["what"]
    await (await tx.db()).execute(insert(sales).values(what=what))
    tx.say(Sold(what=what))
    headers = {"Location": f"/sales/{what}", "Hocket-Token": tx.token, "Set-Cookie": "a=b"}
    return web.json_response({"what": what, "flow": tx.correlation_id}, status=201, headers=headers)


@dataclass
class World:
    """What the command does, and the keys for outside calls that it had."""

    act: Callable[[web.Request, Outside["World"]], Awaitable[web.StreamResponse]] = answers
    keys: list[str] = field(default_factory=list)


def uses() -> AbstractAsyncContextManager[World]:
    """Never called: tests give the service a `World` by `using`."""
    raise AssertionError("give the service a world by using()")


till = Service("till", owner="team-shop", uses=uses, tables=tables)
till.says(Sold)


async def act(request: web.Request, tx: Outside[World]) -> web.Response:
    """Sell."""
    tx.use.keys.append(tx.idempotency_key)
    return await tx.use.act(request, tx)  # type: ignore[return-value]  # what cannot be stored is refused at run time


strict = till.command()(act)
loose = till.command(required=False, caller=lambda request: request.headers.get("X-Caller", ""))(act)


@till.http
def mount(app: web.Application) -> None:
    """The same command at several addresses."""
    app.router.add_route("*", "/sales", strict)
    app.router.add_post("/sales/{number}/returns", strict)
    app.router.add_post("/loose", loose)


@dataclass
class Reply:
    """An answer that was read."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def replayed(self) -> bool:
        """Whether it is a stored one."""
        return self.headers.get("Idempotent-Replayed") == "true"


class Replica:
    """One running process of the service, and a client of it."""

    def __init__(self, part: StartedService, http: aiohttp.ClientSession) -> None:
        self.part = part
        self.http = http

    async def ask(
        self, body: Any = None, key: str = "", path: str = "/sales", method: str = "POST", **more: Any
    ) -> Reply:
        """Send a request; `body` is sent as JSON unless `data` is given."""
        headers = {**({"Idempotency-Key": key} if key else {}), **more.pop("headers", {})}
        given = more if "data" in more else {"json": body, **more}
        async with self.http.request(method, path, headers=headers, **given) as answer:
            return Reply(answer.status, await answer.read(), dict(answer.headers))

    async def sold(self) -> list[str]:
        """What was written."""
        async with self.part.store.read() as db:
            return [row.what for row in await db.execute(select(sales.c.what).order_by(sales.c.id))]

    async def sql(self, statement: str) -> None:
        """Change the tables past the service."""
        async with self.part.store.transaction() as tx:
            await (await tx.db()).execute(text(statement))

    async def keys(self) -> list[str]:
        """The states of the rows."""
        async with self.part.store.read() as db:
            return [row.state for row in await db.execute(text("SELECT state FROM hocket_commands"))]

    async def renewed(self, since: float) -> None:
        """Wait until the lease of the one row ends later than `since`, in seconds since 1970."""
        async with asyncio.timeout(PATIENCE):
            while True:
                async with self.part.store.read() as db:
                    until = (await db.execute(text("SELECT until FROM hocket_commands"))).scalar_one()
                if until > since:
                    return
                await asyncio.sleep(0.02)

    async def said(self) -> list[Envelope]:
        """What was published, once nothing waits any more."""
        worker = self.part.worker
        await until(worker.idle, PATIENCE)
        assert isinstance(worker.runtime.transport, MemoryTransport)
        log = worker.runtime.transport._broker.messages(LOG)  # noqa: SLF001
        return [decode(each.body, each.content_type, each.headers, worker.runtime.clock.now()) for each in log]


@asynccontextmanager
async def running(address: str, world: World, replicas: int = 1) -> AsyncIterator[list[Replica]]:
    """So many processes of the service on one database."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(replicas):
            assembly = Assembly(Config(pseudonym_key=PSEUDONYM_KEY, broker_url="memory://", database_url=address))
            stack.push_async_callback(assembly.close)
            part = await assembly.start(till.using(world), 0)
            http = aiohttp.ClientSession(f"http://127.0.0.1:{part.web.port}")
            made.append(Replica(part, await stack.enter_async_context(http)))
        yield made


class Gate:
    """A command that stops in the middle, until the test lets it go on; only its first run."""

    def __init__(self) -> None:
        self.arrived = asyncio.Event()
        self.open = asyncio.Event()
        self.runs = 0

    async def __call__(self, request: web.Request, tx: Outside[World]) -> web.StreamResponse:
        """Stop, then do what is usual."""
        self.runs += 1
        if self.runs == 1:
            self.arrived.set()
            await self.open.wait()
        return await answers(request, tx)
