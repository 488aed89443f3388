"""The wall clock of one process jumps, by libfaketime, while real services work; or the process does not run at all."""

import asyncio
import os
import signal
import sqlite3
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import aio_pika
import aiohttp
import pytest

from deploy.broker.node import free_ports
from deploy.database.server import PostgresServer
from tests.faked_clock import FakedClock, library
from tests.flows.clockwork import LIMIT, REMINDER, RETRY

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 120.0
#: The jumps of one process, one after the other, and the seconds of work under each.
JUMPS = ("+10m", "+0", "-10m", "+0", "+20d", "+0", "+400d", "-0.05", "+0")
UNDER_EACH = 0.6
#: Seconds between two strokes, and by how much a due time may be passed on a busy machine.
PACE, LATE = 0.2, 60.0


@dataclass
class Clockwork:
    """Replicas of the service, each in a process of its own."""

    broker: str
    database: str
    folder: Path
    ports: list[int] = field(default_factory=list)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    read: Callable[[], list[tuple[str, int, int, float]]] = list

    @asynccontextmanager
    async def replica(self, clock: FakedClock | None = None, **more: str) -> AsyncIterator[None]:
        """One more, ready; killed at the end where it does not end in order."""
        [port] = free_ports(1)
        environment = os.environ | {
            "HOCKET_BROKER_URL": self.broker,
            "HOCKET_DATABASE_URL": self.database,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]),
            **(clock.environment() if clock is not None else {}),
            **more,
        }
        with (self.folder / f"log-{len(self.ports)}").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "hocket.cli", "run", f"tests.flows.clockwork:{port}",
                cwd=self.folder, env=environment, stdout=log, stderr=log,
            )  # fmt: skip
        self.ports.append(port)
        self.processes.append(process)
        try:
            await self._ready(port)
            yield
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGCONT)
                process.terminate()
            try:
                async with asyncio.timeout(PATIENCE):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()

    async def _ready(self, port: int) -> None:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as http:
            while True:
                with suppress(aiohttp.ClientError):
                    async with http.get(f"http://127.0.0.1:{port}/health/ready") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)

    async def strike(self, first: int, count: int) -> None:
        """Say strokes, in turn to each replica."""
        async with aiohttp.ClientSession() as http:
            for n in range(first, first + count):
                port = self.ports[n // 2 % len(self.ports)]
                async with http.post(f"http://127.0.0.1:{port}/strokes/{n}") as answer:
                    assert answer.status == 202
                await asyncio.sleep(PACE)

    def log(self, replica: int) -> str:
        """What it has written."""
        return (self.folder / f"log-{replica}").read_text(encoding="utf-8")

    async def says(self, replica: int, what: str, times: int) -> None:
        """Return when it has said it so often."""
        async with asyncio.timeout(PATIENCE):
            while self.log(replica).count(what) < times:  # noqa: ASYNC110 -- bounded above
                await asyncio.sleep(0.1)
        assert self.log(replica).count(what) == times

    async def done(self, strokes: int) -> dict[str, dict[int, list[tuple[int, float]]]]:
        """(attempt, moment) of everything that was noted, by what and number, once each stroke was reminded of."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found: dict[str, dict[int, list[tuple[int, float]]]] = defaultdict(lambda: defaultdict(list))
                for what, n, attempt, at in await asyncio.to_thread(self.read):
                    found[what][n].append((attempt, at))
                if all(len(found[what]) == strokes for what in ("heard", "reminded", "pondered")):
                    return found
                await asyncio.sleep(0.5)

    async def letters(self) -> int:
        """How many deliveries were given up."""
        async with await aio_pika.connect(self.broker) as connection:
            queue = await (await connection.channel()).declare_queue("hocket.dead", passive=True)
            return queue.declaration_result.message_count or 0


@pytest.fixture
def faked(tmp_path: Path) -> FakedClock:
    """A clock that can jump; skips where libfaketime is not installed."""
    if library() is None:
        pytest.skip("libfaketime is not installed: apt-get install faketime; `make test` as root installs it")
    return FakedClock(tmp_path / "clock")


@pytest.fixture
def on_postgres(postgres: PostgresServer, broker_url: str, tmp_path: Path) -> Clockwork:
    """A database of its own."""
    name = f"clockwork_{uuid4().hex}"
    postgres.add_database(name)

    def read() -> list[tuple[str, int, int, float]]:
        lines = postgres.sql("SELECT what, n, attempt, at FROM notes", name).splitlines()
        return [(what, int(n), int(attempt), float(at)) for what, n, attempt, at in (each.split("|") for each in lines)]

    return Clockwork(broker_url, postgres.url(name), tmp_path, read=read)


@pytest.fixture
def on_sqlite(broker_url: str, tmp_path: Path) -> Clockwork:
    """A file of its own."""
    path = tmp_path / "clockwork.db"

    def read() -> list[tuple[str, int, int, float]]:
        with closing(sqlite3.connect(path)) as shell:
            return shell.execute("SELECT what, n, attempt, at FROM notes").fetchall()

    return Clockwork(broker_url, f"sqlite:///{path}", tmp_path, read=read)


def check(found: dict[str, dict[int, list[tuple[int, float]]]]) -> None:
    """Everything happened once and when it was due, by the clock of the machine that no jump moves."""
    for n, [(_, said)] in found["struck"].items():
        [(attempt, heard)] = found["heard"][n]
        [(_, reminded)] = found["reminded"][n]
        wait = RETRY if n % 2 else 0.0
        assert (n, attempt) == (n, 1 + n % 2)
        assert wait <= heard - said < wait + LATE, f"stroke {n} was heard {heard - said:.2f} s after it was said"
        assert REMINDER <= reminded - said < REMINDER + LATE, (
            f"stroke {n} was reminded of {reminded - said:.2f} s later"
        )


async def _jumping(works: Clockwork, clock: FakedClock, jumping: int) -> None:
    count = int(UNDER_EACH / PACE)
    await works.strike(0, count)
    for number, jump in enumerate(JUMPS, start=1):
        clock.jump(jump)
        await works.strike(number * count, count)
        await works.says(jumping, "the machine's clock was stepped", number)
    check(await works.done((len(JUMPS) + 1) * count))
    assert await works.letters() == 0
    assert "too-old" not in works.log(jumping)


@pytest.mark.parametrize("jumping", [0, 1])
async def test_one_of_two_replicas_has_a_clock_that_jumps(
    on_postgres: Clockwork, faked: FakedClock, jumping: int
) -> None:
    """RULES 11.1, 11.4, 4.1, 2.7: nothing is stranded, early, late or too old, and each step is said."""
    async with AsyncExitStack() as stack:
        for number in range(2):
            await stack.enter_async_context(on_postgres.replica(faked if number == jumping else None))
        await _jumping(on_postgres, faked, jumping)


async def test_the_one_process_of_a_file_has_a_clock_that_jumps(on_sqlite: Clockwork, faked: FakedClock) -> None:
    """RULES 11.1, 11.4, 11.7: the same on SQLite, whose clock is the kit's."""
    async with on_sqlite.replica(faked):
        await _jumping(on_sqlite, faked, 0)


async def test_a_start_behind_a_wrong_clock_is_put_right(on_sqlite: Clockwork, faked: FakedClock) -> None:
    """RULES 11.2: what was written while the clock was days ahead is due its wait from the next start, and said."""
    faked.jump("+20d")
    async with on_sqlite.replica(faked):
        await on_sqlite.strike(0, 6)
        on_sqlite.processes[0].kill()
    faked.jump("+0")
    async with on_sqlite.replica(faked):
        await on_sqlite.done(6)
        assert "due times that a wrong clock had set were put right" in on_sqlite.log(1)
    assert await on_sqlite.letters() == 0


async def test_a_process_that_is_stopped_for_a_while_loses_no_time(on_sqlite: Clockwork) -> None:
    """RULES 11.6: a handler in the middle of its time gets it back; no attempt is used, and the pause is said."""
    async with on_sqlite.replica(None, SLOW="1"):
        await on_sqlite.strike(0, 1)
        on_sqlite.processes[0].send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5 * LIMIT)
        on_sqlite.processes[0].send_signal(signal.SIGCONT)
        found = await on_sqlite.done(1)
        assert [attempt for attempt, _ in found["pondered"][0]] == [1]
        assert "the process did not run for a while" in on_sqlite.log(0)
