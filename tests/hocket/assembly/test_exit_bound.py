"""`hocket run` ends within its bound whatever a handler does, and names what did not stop."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from deploy.broker.node import free_ports
from hocket.assembly.exit_bound import END_SECONDS, STATUS
from tests.hocket.sample_services import until

PATIENCE = 60.0
STOP_SECONDS = 0.5
EXIT_SECONDS = 8.0
#: Seconds that a slow machine adds.
SLACK = 10.0

SERVICE = '''
"""A service whose handler does what its event says."""
import asyncio, os, signal, sys, threading, time
from aiohttp import web
from hocket import Event, Heard, Service, Tx

bell = Service("bell", owner="team-tower")


class Pressed(Event, type="bell.pressed", subject="bell/a"):
    how: str


class Press(Heard, type="bell.pressed"):
    how: str


bell.says(Pressed)


@bell.handler
async def ring(press: Press, tx: Tx) -> None:
    print("began", press.how, flush=True)
    if press.how == "thread":
        await asyncio.to_thread(time.sleep, 100)
    elif press.how == "blocking":
        await tx.blocking(time.sleep, 100)
    elif press.how == "own thread":
        threading.Thread(target=time.sleep, args=(100,), name="mine").start()
    elif press.how == "swallow":
        while True:
            try:
                await asyncio.sleep(100)
            except asyncio.CancelledError:
                pass
    elif press.how == "loop":
        while True:
            pass
    elif press.how == "sleep":
        time.sleep(100)
    elif press.how == "exit in a task":
        async def leave():
            sys.exit(0)
        asyncio.ensure_future(leave())
        await asyncio.sleep(100)


@bell.http
def mount(app: web.Application) -> None:
    async def press(request: web.Request) -> web.Response:
        async with bell.tx() as tx:
            tx.say(Pressed(how=request.query["how"]))
        return web.json_response({})

    app.router.add_get("/press", press)
'''


class Process:
    """The service in a process of its own, on a broker in its memory."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        [self.port] = free_ports(1)
        (folder / "bell.py").write_text(SERVICE, encoding="utf-8")
        self.log = folder / "log"
        self.out = folder / "out"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Started and ready; killed at the end where it still runs."""
        environment = os.environ | {
            "HOCKET_BROKER_URL": "memory://",
            "HOCKET_DATABASE_URL": f"sqlite:///{self.folder}/{{service}}.db",
            "HOCKET_STOP_SECONDS": str(STOP_SECONDS),
            "HOCKET_EXIT_SECONDS": str(EXIT_SECONDS),
            "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path]),
        }
        words = [sys.executable, "-m", "hocket.cli", "run", f"bell:{self.port}"]
        with self.log.open("ab") as log, self.out.open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                *words, cwd=self.folder, env=environment, stderr=log, stdout=out
            )
        try:
            await self.get("/health/ready")
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def get(self, path: str) -> None:
        """Return when it answers 200."""
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientError):
                    async with http.get(f"http://127.0.0.1:{self.port}{path}") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.05)

    async def begins(self, how: str) -> None:
        """Say what the handler is to do, and return when it does it."""
        await self.get(f"/press?how={how.replace(' ', '+')}")
        await until(lambda: f"began {how}" in self.out.read_text(encoding="utf-8"), PATIENCE)

    def lines(self, event: str) -> list[dict[str, object]]:
        """The lines of its log that say this."""
        found = []
        for line in self.log.read_text(encoding="utf-8").splitlines():
            with suppress(json.JSONDecodeError):
                if (read := json.loads(line)).get("event") == event:
                    found.append(read)
        return found


@pytest.mark.parametrize(
    ("how", "names"),
    [
        ("thread", "thread asyncio_0 at"),
        ("blocking", "thread hocket-blocking_0 at"),
        ("own thread", "thread mine at"),
        ("swallow", "handler bell.ring"),
        ("loop", "thread MainThread at bell.py:"),
        ("sleep", "thread MainThread at bell.py:"),
    ],
)
async def test_a_stop_ends_whatever_a_handler_does(tmp_path: Path, how: str, names: str) -> None:
    """RULES 1.2: within `HOCKET_EXIT_SECONDS`, with status 1 and one line that names what did not stop."""
    bell = Process(tmp_path)
    async with bell.running() as process:
        await bell.begins(how)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), EXIT_SECONDS + END_SECONDS + SLACK) == STATUS
        assert time.monotonic() - began < EXIT_SECONDS + SLACK
    [line] = bell.lines("the process is ended: something did not stop")
    assert any(str(each).startswith(names) for each in line["still"]), line  # type: ignore[attr-defined]


async def test_a_stop_that_ends_by_itself_has_status_0(tmp_path: Path) -> None:
    """Nothing is said of a process that stops as it should."""
    bell = Process(tmp_path)
    async with bell.running() as process:
        await bell.begins("nothing")
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    assert bell.lines("the process is ended: something did not stop") == []


async def test_a_task_that_exits_ends_the_process_with_a_failure(tmp_path: Path) -> None:
    """RULES 3.6: `sys.exit(0)` where no attempt catches it is no stop: whoever restarts on failure must restart it."""
    bell = Process(tmp_path)
    async with bell.running() as process:
        await bell.get("/press?how=exit+in+a+task")
        assert await asyncio.wait_for(process.wait(), PATIENCE) not in {0, None}
    assert "called sys.exit(0)" in bell.log.read_text(encoding="utf-8")
