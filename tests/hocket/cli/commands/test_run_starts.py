"""`hocket run` as a real process without its PostgreSQL: it is live, reports why it is not ready, and recovers."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from deploy.broker.node import free_ports
from deploy.database.server import PostgresServer

PATIENCE = 60.0
#: Seconds in which a process that only waits for its database has ended after SIGTERM.
AT_ONCE = 5.0

SERVICE = '''
"""A service that records requests."""
from aiohttp import web
from sqlalchemy import Column, MetaData, String, Table, insert
from hocket import Service

tables = MetaData()
knocks = Table("knocks", tables, Column("name", String, primary_key=True))
door = Service("door", owner="team-tower", tables=tables)


async def knock(request: web.Request) -> web.Response:
    async with door.tx() as tx:
        await (await tx.db()).execute(insert(knocks).values(name=await request.text()))
    return web.Response(status=204)


@door.http
def mount(app: web.Application) -> None:
    app.router.add_post("/knock", knock)
'''


class Door:
    """A service in a process of its own, on a database address, without a broker."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address = folder, address
        [self.port] = free_ports(1)
        (folder / "door.py").write_text(SERVICE, encoding="utf-8")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Started and listening; killed at the end where it still runs."""
        environment = os.environ | {
            "HOCKET_BROKER_URL": "memory://",
            "HOCKET_DATABASE_URL": self.address,
            "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path]),
        }
        words = [sys.executable, "-m", "hocket.cli", "run", f"door:{self.port}"]
        with (self.folder / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(*words, cwd=self.folder, env=environment, stderr=log)
        try:
            async with asyncio.timeout(PATIENCE):
                while process.returncode is None and await self.asked("live") is None:  # noqa: ASYNC110 -- bounded
                    await asyncio.sleep(0.05)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def asked(self, what: str) -> tuple[int, str] | None:
        """The answer of one health page; None: nothing listens."""
        with suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://127.0.0.1:{self.port}/health/{what}") as answer,
            ):
                return answer.status, await answer.text()
        return None

    async def ready(self, says: str = "") -> None:
        """Return when it is ready; with a sentence: when it is not, and says that."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.asked("ready")
                if found is not None and found[0] == (503 if says else 200) and says in found[1]:
                    return
                await asyncio.sleep(0.05)

    async def knock(self, name: str) -> int:
        """Post; the status of the answer."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"http://127.0.0.1:{self.port}/knock", data=name) as answer,
        ):
            return answer.status

    def said(self) -> str:
        """All its output."""
        return (self.folder / "log").read_text(encoding="utf-8")


@pytest.fixture
def server(postgres: PostgresServer) -> Iterator[PostgresServer]:
    """The server, which runs again afterwards."""
    yield postgres
    postgres.start()


async def test_it_waits_for_its_database(server: PostgresServer, tmp_path: Path) -> None:
    """RULES 3.2: the process waits for a store that is away at start, and reports it without its password."""
    door = Door(tmp_path, server.add_database("waits"))
    await asyncio.to_thread(server.stop)
    async with door.running() as process:
        where = f"postgresql://hocket@127.0.0.1:{server.port}/waits"
        await door.ready(says=f"database {where} does not answer")
        assert await door.asked("live") == (200, '{"live": true}')
        assert await door.knock("too early") == 503
        await asyncio.to_thread(server.start)
        await door.ready()
        assert await door.knock("ada") == 204
        assert server.sql("SELECT name FROM knocks", "waits") == "ada"
        await asyncio.to_thread(server.stop)
        await door.ready(says=f"database {where} does not answer")
        await asyncio.to_thread(server.start)
        await door.ready()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    assert server.password not in door.said()


async def test_sigterm_ends_the_wait(server: PostgresServer, tmp_path: Path) -> None:
    """RULES 1.2: a process that waits for its database stops at once and cleanly."""
    door = Door(tmp_path, server.url("nobody"))
    await asyncio.to_thread(server.stop)
    async with door.running() as process:
        await door.ready(says="does not answer")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), AT_ONCE) == 0


async def test_sigterm_ends_the_first_try(tmp_path: Path) -> None:
    """RULES 1.2: also while the address does not answer; health reports that the database is not open yet."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        door = Door(tmp_path, f"postgresql://hocket:word@127.0.0.1:{silent.getsockname()[1]}/shop")
        async with door.running() as process:
            await door.ready(says="the database is not open yet")
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), AT_ONCE) == 0


async def test_a_lease_that_was_over_ends_nobody(server: PostgresServer, tmp_path: Path) -> None:
    """RULES 4.1: if the leases expired while the database was away, each replica continues under a new one."""
    address = server.add_database("late")
    for name in "ab":
        (tmp_path / name).mkdir()
    doors = [Door(tmp_path / name, address) for name in "ab"]
    async with doors[0].running() as first, doors[1].running() as second:
        for door in doors:
            await door.ready()
        server.sql("UPDATE hocket_owners SET until = 0", "late")
        async with asyncio.timeout(PATIENCE):
            while server.sql("SELECT count(*) FROM hocket_owners WHERE until > 0", "late") != "2":  # noqa: ASYNC110 -- bounded
                await asyncio.sleep(0.1)
        for door in doors:
            assert await door.asked("ready") == (200, '{"ready": true, "reasons": []}')
            assert await door.knock(str(door.port)) == 204
            assert "it continues under a new one" in door.said()
        assert (first.returncode, second.returncode) == (None, None)


@pytest.mark.parametrize("late", [False, True])
async def test_a_wrong_password_is_an_end(server: PostgresServer, tmp_path: Path, late: bool) -> None:
    """An error that only a person can fix ends the process with its message, at start and after a wait."""
    door = Door(tmp_path, server.url().replace(server.password, "guessed"))
    if late:
        await asyncio.to_thread(server.stop)
    async with door.running() as process:
        if late:
            await door.ready(says="does not answer")
            await asyncio.to_thread(server.start)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 2
    assert "refuses this user: check name and password" in door.said()
    assert "Traceback" not in door.said()
    assert "guessed" not in door.said()
