"""A forked child of a killed process keeps neither its lock nor its port nor its connection."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from deploy.broker.node import RabbitNode, free_ports
from hocket.errors import ConfigError
from hocket.resilience import forks
from hocket.store.sqlite.file_lock import FileLock

PATIENCE = 240.0
SERVICE = '''
"""A service whose pool of processes is forked when it is first used."""
import multiprocessing
import os
import pathlib
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from aiohttp import web
from hocket import Heard, Service, Tx


@asynccontextmanager
async def uses():
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
        yield pool


forker = Service("forker", owner="team", uses=uses)


class Rung(Heard, type="bell.rung"):
    name: str


@forker.handler
async def hear(rung: Rung, tx: Tx[ProcessPoolExecutor]) -> None: ...


@forker.http
def mount(app: web.Application) -> None:
    async def fork(request: web.Request) -> web.Response:
        async with forker.tx() as tx:
            return web.Response(text=str(tx.use.submit(os.getpid).result()))

    app.router.add_post("/fork", fork)
'''


def test_a_child_closes_what_it_must_not_keep(tmp_path: Path) -> None:
    """The lock is free as soon as its holder is gone, although a child lives; what was closed is nobody's any more."""
    lock, ours = FileLock(tmp_path / "x.db"), os.open(tmp_path / "other", os.O_CREAT)
    lock.acquire()
    forks.close_in_children(ours)
    forks.closed(ours)
    said, say = os.pipe()
    pid = os.fork()
    if not pid:
        held = lock._held  # noqa: SLF001 -- the descriptor that the child must not have
        answers = []
        for descriptor in (held, ours):
            try:
                os.fstat(descriptor or 0)
                answers.append(b"open")
            except OSError:
                answers.append(b"closed")
        os.write(say, b" ".join(answers))
        os._exit(0)
    os.waitpid(pid, 0)
    assert os.read(said, 100) == b"closed open"
    with pytest.raises(ConfigError, match="is held by process"):
        FileLock(tmp_path / "x.db").acquire()
    lock.release()
    for descriptor in (said, say, ours):
        os.close(descriptor)


@pytest.mark.rabbitmq
async def test_a_killed_service_starts_again_beside_its_orphan(tmp_path: Path, rabbitmq: RabbitNode) -> None:
    """File, port and queue are free at once, although a process of its pool lives on."""
    (tmp_path / "forker.py").write_text(SERVICE, encoding="utf-8")
    [port] = free_ports(1)
    environment = os.environ | {
        "HOCKET_BROKER_URL": rabbitmq.url(), "HOCKET_DATABASE_URL": f"sqlite:///{tmp_path}/{{service}}.db",
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]),
    }  # fmt: skip

    async def start() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hocket", "run", f"forker:{port}", cwd=tmp_path, env=environment
        )

    async with aiohttp.ClientSession() as http, asyncio.timeout(PATIENCE):
        first = await start()
        await _ready(http, port)
        async with http.post(f"http://127.0.0.1:{port}/fork") as answer:
            orphan = int(await answer.text())
        first.kill()
        await first.wait()
        os.kill(orphan, 0)  # it lives
        second = await start()
        await _ready(http, port)
        os.kill(orphan, signal.SIGKILL)
        second.kill()
        await second.wait()


async def _ready(http: aiohttp.ClientSession, port: int) -> None:
    while True:
        try:
            async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            pass
        await asyncio.sleep(0.05)


COMES_BACK = """
import asyncio, os, sys
from hocket.resilience import forks

parent = os.getpid()


async def handler():
    loop = asyncio.get_running_loop()
    loop.call_soon(lambda: os.getpid() == parent or print("the child runs what waits in the loop", flush=True))
    pid = os.fork()
    if not pid and sys.argv[1] == "awaits":
        await asyncio.sleep(0)
    return pid


async def main():
    forks.close_network_in_children(asyncio.get_running_loop())
    pid = await asyncio.create_task(handler())
    _, status = await asyncio.to_thread(os.waitpid, pid, 0)
    print("child:", os.waitstatus_to_exitcode(status))


asyncio.run(main())
"""


@pytest.mark.parametrize("way", ["returns", "awaits"])
async def test_a_child_does_not_come_back_into_the_event_loop(way: str) -> None:
    """RULES 3.6: a handler forks and its child goes on: it is ended before it runs anything else of this process."""
    run = await asyncio.create_subprocess_exec(
        sys.executable, "-c", COMES_BACK, way, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, errors = await asyncio.wait_for(run.communicate(), PATIENCE)
    assert said.decode().split("\n")[:1] == ["child: 70"]
    assert b"a child process that was forked in the event loop came back into it" in errors
