"""Two small services on a real broker, over connections that break: `lead` says, `alto` hears and writes it down."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
from sqlalchemy import Column, Integer, MetaData, Table, insert, select
from yarl import URL

from deploy.broker.node import RabbitNode
from hocket import Event, Retry, Service, Tx
from hocket.broker.rabbitmq import RabbitTransport
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.envelope.ids import Ids
from hocket.outcome import Word
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Ended, Listener, Signals
from hocket.worker import Worker
from tests.tcp_proxy import TcpProxy

#: Seconds in which everything must come to its end.
PATIENCE = 60.0
#: Seconds after which a broker that says nothing at all is known to be lost: three of these.
HEARTBEAT_SECONDS = 1
BRIEF = Retry(retries=4, first=timedelta(milliseconds=20), longest=timedelta(milliseconds=100))

tables = MetaData()
written = Table("written", tables, Column("id", Integer, primary_key=True), Column("number", Integer, nullable=False))
_numbers = itertools.count(1)


async def nothing(number: int, attempt: int) -> None:
    """What a handler does before it writes, unless a test asks for more."""


@dataclass
class Song:
    """What the handler does; a test may change it."""

    before: Callable[[int, int], Awaitable[None]] = nothing


@dataclass
class Notes(Listener):
    """Every trouble that was said, and how many deliveries of each queue came to an end."""

    troubles: list[str] = field(default_factory=list)
    ends: Counter[tuple[str, Word]] = field(default_factory=Counter)

    def attempts(self, ended: Sequence[Ended]) -> None:
        """Count them."""
        self.ends.update((each.subscription, each.word) for each in ended)

    def attempts_of(self, queue: str) -> dict[Word, int]:
        """How often deliveries of this queue ended in which way."""
        return {word: count for (name, word), count in self.ends.items() if name == queue}

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """Keep it."""
        self.troubles.append(f"{what}: {about}")


class Choir:
    """The two services in this process, names of their own, one virtual host."""

    def __init__(self, node: RabbitNode, url: str, folder: Path, stack: AsyncExitStack, config: Config) -> None:
        self._node = node
        self._url = URL(url)
        self._folder = folder
        self._stack = stack
        self._config = config
        self.number = next(_numbers)
        self.song = Song()
        self.notes = Notes()
        self.proxies: dict[str, TcpProxy] = {}
        self.workers: dict[str, Worker] = {}
        self.sung = self._declare()

    def _declare(self) -> type[Event]:
        class Sung(Event, type=f"note{self.number}.sung", subject="note/{number}"):
            number: int
            text: str = ""

        self.event = Sung
        self.lead: Service[None] = Service(f"lead{self.number}", owner="team-choir")
        self.lead.says(Sung)
        song = self.song
        alto: Service[None] = Service(f"alto{self.number}", owner="team-choir", tables=tables)

        @alto.handler(retry=BRIEF)
        async def write(sung: Sung, tx: Tx) -> None:
            await song.before(sung.number, tx.attempt)
            await (await tx.db()).execute(insert(written).values(number=sung.number))

        self.alto = alto
        return Sung

    @property
    def queue(self) -> str:
        """Where alto hears."""
        return f"{self.alto.name}.write"

    @property
    def vhost(self) -> str:
        """The virtual host."""
        return self._url.path[1:]

    def url_of(self, user: str, password: str) -> str:
        """The node's address for another user."""
        return str(self._url.with_user(user).with_password(password))

    async def start(self, service: Service[Any], url: str = "") -> Worker:
        """Start a service as a process would; `url` in place of its own proxy."""
        clock, chance = SystemClock(), random.Random(self.number)
        if service.name not in self.proxies:
            self.proxies[service.name] = await self._stack.enter_async_context(TcpProxy(self._node.port))
        proxied = self._url.with_port(self.proxies[service.name].port).update_query(heartbeat=HEARTBEAT_SECONDS)
        boot = Ids(clock, chance).uuid7()
        worker = Worker(
            service,
            store=SqliteStore(str(self._folder / f"{service.name}.db"), clock=clock, boot=boot),
            transport=RabbitTransport(url or str(proxied), service.name),
            signals=Signals([self.notes]),
            clock=clock,
            chance=chance,
            boot=boot,
            config=self._config,
            version="test",
        )
        await worker.start()
        self.workers[service.name] = worker
        return worker

    def elsewhere(self, folder: Path) -> None:
        """Services that start from now on have their files in another folder."""
        folder.mkdir()
        self._folder = folder

    async def ready(self) -> None:
        """Return when every service is ready."""
        await self.until(lambda: not any(self.reasons()), lambda: f"ready; {self.reasons()}")

    def reasons(self) -> list[str]:
        """Why the services are not ready."""
        return [reason for worker in self.workers.values() for reason in worker.health()]

    async def says(self, word: str) -> None:
        """Return when a service is not ready and its sentence has this word."""
        await self.until(lambda: any(word in reason for reason in self.reasons()), lambda: f"{word}: {self.reasons()}")

    async def until(self, holds: Callable[[], object], what: Callable[[], str] = lambda: "it came to that") -> None:
        """Return when it holds; every task of the kit lives all the while."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while not holds():
            assert asyncio.get_running_loop().time() < end, f"waited {PATIENCE:.0f} s in vain for: {what()}"
            for worker in self.workers.values():
                assert worker.live, worker.runtime.tasks.failed
            await asyncio.sleep(0.02)

    async def sing(self, first: int, count: int, text: str = "") -> None:
        """Say so many notes, each in a transaction of its own."""
        worker = self.workers[self.lead.name]
        for number in range(first, first + count):
            async with worker.outside(None, None) as tx:
                tx.say(self.event(number=number, text=text))

    async def heard(self) -> Counter[int]:
        """How often each note was written down."""
        async with self.workers[self.alto.name].runtime.store.read() as db:
            return Counter(row.number for row in await db.execute(select(written.c.number)))

    async def written(self, count: int) -> None:
        """Return when so many different notes were written down."""
        end = asyncio.get_running_loop().time() + PATIENCE
        while len(found := await self.heard()) < count:
            assert asyncio.get_running_loop().time() < end, f"{len(found)} of {count}; {self.reasons()}"
            await asyncio.sleep(0.05)

    async def once(self, count: int) -> None:
        """Return when notes 0 to `count` were written down, each exactly once, and nothing is in progress any more."""
        await self.written(count)
        await self.until(lambda: all(worker.idle() for worker in self.workers.values()), lambda: "rest")
        assert await self.heard() == Counter(range(count))

    @asynccontextmanager
    async def admin(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        """A channel of somebody else, through no proxy."""
        connection = await aio_pika.connect(self._url)
        async with connection, connection.channel(publisher_confirms=False) as channel:
            yield channel

    async def ctl(self, *words: str) -> str:
        """Call rabbitmqctl."""
        return await asyncio.to_thread(self._node.ctl, *words)

    async def stop(self) -> None:
        """End both as SIGTERM does."""
        for worker in self.workers.values():
            await worker.stop()
        self.workers.clear()


@asynccontextmanager
async def choir(node: RabbitNode, url: str, folder: Path, **settings: float) -> AsyncIterator[Choir]:
    """Both services, ready, with these settings."""
    async with AsyncExitStack() as stack:
        made = Choir(node, url, folder, stack, Config.model_construct(None, **settings))
        try:
            await made.start(made.alto)
            await made.start(made.lead)
            await made.ready()
            yield made
        finally:
            await made.stop()
