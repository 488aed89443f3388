"""`hocket run` as a real process: SIGTERM finishes and settles, a second signal is immediate, nothing is lost."""

import asyncio
import os
import signal
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path

import aiohttp
import pytest

from deploy.broker.node import RabbitNode, free_ports
from hocket import Heard
from hocket.broker.port import Verdict
from hocket.broker.rabbitmq import RabbitTransport
from hocket.clock import SystemClock
from hocket.config import Config
from tests.hocket.sample_services import message_of, until

PATIENCE = 60.0
EVENTS = 60
_CONFIG = Config.model_construct()
#: Seconds in which an orderly stop must have ended, whatever a handler does.
STOP_BOUND = _CONFIG.stop_seconds + _CONFIG.drain_seconds + _CONFIG.uses_close_seconds + 5
#: Seconds in which a second signal must have ended the process.
AT_ONCE = 3.0

SERVICE = '''
"""A slow service."""
import asyncio
import os
from sqlalchemy import Column, Integer, MetaData, String, Table, insert
from hocket import Heard, Service, Tx

tables = MetaData()
done = Table("done", tables, Column("id", Integer, primary_key=True), Column("name", String, nullable=False))
{name} = Service("{name}", owner="team-tower", tables=tables)


class Pressed(Heard, type="{name}.pressed"):
    name: str


@{name}.handler
async def ring(pressed: Pressed, tx: Tx) -> None:
    with open("began", "a") as began:
        began.write(pressed.name + "\\n")
    await asyncio.sleep(float(os.environ["SLOW"]))
    await (await tx.db()).execute(insert(done).values(name=pressed.name))
'''


class Process:
    """A service in a process of its own, in a folder, on a broker."""

    def __init__(self, name: str, folder: Path, url: str) -> None:
        self.name, self.folder, self.url = name, folder, url
        [self.port] = free_ports(1)
        (folder / f"{name}.py").write_text(SERVICE.format(name=name), encoding="utf-8")

    @asynccontextmanager
    async def running(self, slow: float) -> AsyncIterator[asyncio.subprocess.Process]:
        """Started and ready; killed at the end where it still runs."""
        environment = os.environ | {
            "HOCKET_BROKER_URL": self.url,
            "HOCKET_DATABASE_URL": f"sqlite:///{self.folder}/{{service}}.db",
            "PYTHONPATH": os.pathsep.join([str(self.folder), *sys.path]),
            "SLOW": str(slow),
        }
        words = [sys.executable, "-m", "hocket.cli", "run", f"{self.name}:{self.port}"]
        with (self.folder / "log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(*words, cwd=self.folder, env=environment, stderr=log)
        try:
            await self.answers(200)
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def answers(self, status: int | None) -> None:
        """Return when it answers with this status; None: when nothing listens any more."""
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as http:
            while True:
                found = None
                with suppress(aiohttp.ClientError):
                    async with http.get(f"http://127.0.0.1:{self.port}/health/ready") as answer:
                        found = answer.status
                if found == status:
                    return
                await asyncio.sleep(0.05)

    async def press(self, count: int) -> None:
        """Publish so many events, as another team's service does."""

        class Pressed(Heard, type=f"{self.name}.pressed"):
            name: str

        transport = RabbitTransport(self.url, "presser")
        await transport.open()
        await transport.until_ready()
        clock = SystemClock()
        messages = [message_of(Pressed(name=f"b{number}"), f"k{number}", clock) for number in range(count)]
        assert {each.verdict for each in await transport.publish(messages)} == {Verdict.CONFIRMED}
        await transport.close()

    async def has(self, count: int, *, began: bool = False) -> None:
        """Return when so many were written, or have begun."""
        await until(lambda: (self.begun() if began else len(self.done())) >= count, PATIENCE)

    def begun(self) -> int:
        """How many runs have begun."""
        with suppress(FileNotFoundError):
            return len((self.folder / "began").read_text(encoding="utf-8").splitlines())
        return 0

    def done(self) -> Counter[str]:
        """What was written, and how often."""
        with closing(sqlite3.connect(f"file:{self.folder}/{self.name}.db?mode=ro", uri=True)) as db:
            return Counter(name for (name,) in db.execute("SELECT name FROM done"))


ALL = Counter(f"b{number}" for number in range(EVENTS))


@pytest.mark.usefixtures("rabbitmq")
async def test_sigterm_finishes_commits_settles_and_closes(
    rabbitmq: RabbitNode, broker_url: str, tmp_path: Path
) -> None:
    """RULES 1.2: what has begun is settled, the rest returns to the broker; the next process handles it once."""
    bell = Process("doorbell", tmp_path, broker_url)
    async with bell.running(slow=1.0) as process:
        await bell.press(EVENTS)
        await bell.has(1, began=True)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), STOP_BOUND) == 0
        assert time.monotonic() - began < STOP_BOUND
    finished = bell.done()
    assert sum(finished.values()) == bell.begun() > 0
    async with bell.running(slow=0.0):
        await bell.has(EVENTS)
        assert bell.begun() == EVENTS
    assert bell.done() == ALL


async def test_sigterm_ends_within_its_bound_whatever_the_handlers_do(broker_url: str, tmp_path: Path) -> None:
    """Handlers that do not end are cancelled, their deliveries return; no effect is lost or doubled."""
    bell = Process("gatebell", tmp_path, broker_url)
    async with bell.running(slow=50.0) as process:
        await bell.press(EVENTS)
        await bell.has(1, began=True)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), STOP_BOUND) == 0
    assert bell.done() == Counter()
    async with bell.running(slow=0.0):
        await bell.has(EVENTS)
    assert bell.done() == ALL


async def test_a_second_signal_is_immediate_and_loses_nothing(broker_url: str, tmp_path: Path) -> None:
    """The process ends at once; the next one handles what was not committed, once."""
    bell = Process("handbell", tmp_path, broker_url)
    async with bell.running(slow=5.0) as process:
        await bell.press(EVENTS)
        await bell.has(1, began=True)
        process.send_signal(signal.SIGTERM)
        await bell.answers(None)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), AT_ONCE) == 1
    async with bell.running(slow=0.0):
        await bell.has(EVENTS)
    assert bell.done() == ALL
