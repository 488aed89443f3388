"""The one place that picks drivers and puts a process together."""

import asyncio
import os
import random
import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager, ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlsplit

from prometheus_client import CollectorRegistry

from hocket import __version__
from hocket.assembly import process_memory
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.port import Transport
from hocket.broker.topology import Binding, Found, kit
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.envelope.keys import Ids
from hocket.errors import ConfigError
from hocket.runtime import here
from hocket.service import Service
from hocket.store.port import Kept, Retention, Store
from hocket.store.sqlite.outbox_view import SqliteVisit
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry import logs, otel
from hocket.telemetry.prometheus import PrometheusListener
from hocket.telemetry.signals import Listener, Signals
from hocket.worker.http import Web
from hocket.worker.worker import Worker

#: Exit status of a process whose service could not go on.
FAILED_STATUS = 1

Target = tuple[Service[Any], int]


class Killable(Store, Protocol):
    """A store that can also stop as a killed process does."""

    async def abandon(self) -> None:
        """Roll back what is open, wait for nobody."""
        ...


@dataclass(slots=True)
class Part:
    """One running service and what belongs to it."""

    worker: Worker
    store: Killable
    transport: Transport
    web: Web
    stack: ExitStack = field(default_factory=ExitStack)


class Assembly:
    """The services of one process; each can be started, stopped and (on `memory://`) killed by itself."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._clock = SystemClock()
        self._chance = random.SystemRandom()
        self._metrics = PrometheusListener(CollectorRegistry())
        self._traces = otel.from_environment(os.environ, __version__)
        listeners: list[Listener] = [self._metrics, logs.LogsListener()]
        if self._traces is not None:
            listeners.append(self._traces)
        self._signals = Signals(listeners)
        self._memory = MemoryBroker() if config.broker_url.startswith("memory:") else None
        self.parts: dict[str, Part] = {}

    async def start(self, service: Service[Any], port: int) -> Part:
        """Start one service on its port. `DeclarationError` and `ConfigError` say what forbids it."""
        boot = Ids(self._clock, self._chance).uuid7()
        store = self._store(service.name, boot)
        transport = self.transport(service.name)
        worker = Worker(
            service,
            store=store,
            transport=transport,
            signals=self._signals,
            clock=self._clock,
            chance=self._chance,
            boot=boot,
            max_event_bytes=self._config.max_event_bytes,
            version=__version__,
            retention=Retention(*self._config.retention()),
        )
        web = Web(
            service.name,
            self._config.http_host,
            port,
            service.mounts,
            worker.health,
            lambda: worker.live,
            self._metrics.text,
        )
        part = Part(worker, store, transport, web)
        part.stack.enter_context(here({service.name: worker}))
        try:
            await web.start()
            await worker.start()
        except BaseException:
            await web.stop()
            part.stack.close()
            raise
        self.parts[service.name] = part
        return part

    async def stop(self, name: str) -> None:
        """Stop one service in the order that loses nothing."""
        part = self.parts.pop(name)
        await part.web.stop()
        await part.worker.stop()
        part.stack.close()

    async def kill(self, name: str) -> None:
        """On `memory://`: end one service as SIGKILL would. Its deliveries go back, its database is not committed."""
        if self._memory is None:
            raise ConfigError(f"only a service on memory:// can be killed inside its process, {name} is not")
        part = self.parts.pop(name)
        self._memory.cut(name, heal=False)
        await part.store.abandon()
        await part.worker.kill()
        await part.transport.close()
        await part.web.stop()
        part.stack.close()

    async def close(self) -> None:
        """Stop every service, the last started first, and send the last spans."""
        for name in reversed(list(self.parts)):
            await self.stop(name)
        if self._traces is not None:
            await asyncio.to_thread(self._traces.close)

    @property
    def in_memory(self) -> bool:
        """Whether the broker lives in this process."""
        return self._memory is not None

    def transport(self, name: str) -> Transport:
        """A transport of this service, not open yet; `ConfigError` where no driver speaks the broker's address."""
        scheme = urlsplit(self._config.broker_url).scheme
        if self._memory is not None:
            return MemoryTransport(self._memory, name)
        if scheme in {"amqp", "amqps"}:
            from hocket.broker.rabbitmq import RabbitTransport

            return RabbitTransport(self._config.broker_url, name)
        raise ConfigError(
            f"HOCKET_BROKER_URL begins with {scheme or 'nothing'}:// and hocket speaks amqp://, amqps:// and memory://"
        )

    def _store(self, name: str, boot: str) -> Killable:
        url = self._config.database_of(name)
        if url.startswith(("postgresql://", "postgresql+asyncpg://")):
            from hocket.store.postgres.store import PostgresStore

            return PostgresStore(url, clock=self._clock, boot=boot)
        if not url.startswith("sqlite:///"):
            raise ConfigError(
                f"HOCKET_DATABASE_URL is {urlsplit(url).scheme}://… and hocket keeps its data in sqlite:///PATH or "
                "postgresql://USER:PASSWORD@HOST/DATABASE, one for each service: write sqlite:///var/{service}.db, or "
                "sqlite:////data/{service}.db for an absolute path"
            )
        return SqliteStore(url.removeprefix("sqlite:///"), clock=self._clock, boot=boot)


class Visit(Protocol):
    """A look into an outbox from outside its process."""

    def counts(self, now: float) -> list[tuple[str, str, int, float]]:
        """(kind, due | later | refused, how many, oldest due moment)."""
        ...

    def rows(self, limit: int, *, refused: bool = False) -> list[Kept]:
        """The first rows: the refused ones, then by the moment they are due."""
        ...

    def retry(self, ids: Sequence[int]) -> int:
        """Let refused rows be published again; how many there were."""
        ...


def visit(target: str, config: Config) -> Visit:
    """The outbox of a service, by its name or its database's address; `ConfigError` where there is none."""
    url = target if "://" in target else config.database_of(target)
    if url.startswith(("postgresql://", "postgresql+asyncpg://")):
        from hocket.store.postgres.outbox_view import PostgresVisit

        return PostgresVisit(url)
    if not url.startswith("sqlite:///"):
        raise ConfigError(
            f"{url.partition('://')[0]}://… cannot be looked into: name sqlite:///PATH or postgresql://HOST/DATABASE"
        )
    return SqliteVisit(url.removeprefix("sqlite:///"))


def definitions(services: Sequence[Service[Any]], config: Config) -> dict[str, object]:
    """The kit's objects and those of these services, as RabbitMQ imports them; `ConfigError` where there is none."""
    _check_rabbitmq(config)
    from hocket.broker.rabbitmq.address import addresses
    from hocket.broker.rabbitmq.admin.definitions import definitions_of

    topology = kit()
    for service in services:
        topology += service.declarations.topology()
    return definitions_of(topology, addresses(config.broker_url)[0].vhost)


class Upkeep(Protocol):
    """The broker as it stands, and taking away what nobody hears; `ConfigError` where it cannot be asked."""

    async def found(self) -> Found:
        """What stands in the virtual host."""
        ...

    async def unbind(self, binding: Binding) -> None:
        """Take one binding away; one that is gone already is no error."""
        ...

    async def remove(self, queue: str, bindings: Sequence[Binding]) -> str:
        """Take a queue away, these bindings first; else the sentence why it stays.

        One with a consumer stays with its bindings, one with messages without.
        """
        ...


def upkeep(config: Config) -> AbstractAsyncContextManager[Upkeep]:
    """The broker's books and their upkeep, over its management API; `ConfigError` where there can be none."""
    _check_rabbitmq(config)
    from hocket.broker.rabbitmq.admin.management import Management

    return Management(config.broker_url, config.management_url)


def _check_rabbitmq(config: Config) -> None:
    if config.broker_url.startswith("memory:"):
        raise ConfigError(
            f"HOCKET_BROKER_URL is {config.broker_url}, where nothing stands: name a RabbitMQ, amqp://USER:PASSWORD@HOST"
        )


class Hosted:
    """Services that run inside the process of another application."""

    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly

    def here(self) -> AbstractContextManager[None]:
        """Within this context `service.tx()` finds them: around a request that another task began."""
        return here({name: part.worker for name, part in self._assembly.parts.items()})

    def reasons(self) -> list[str]:
        """Why they are not ready, in sentences, for the application's own health page; none: they are."""
        parts = self._assembly.parts
        return [f"{name}: {reason}" for name, part in parts.items() for reason in part.worker.health()]


@asynccontextmanager
async def hosted(*services: Service[Any], config: Config | None = None) -> AsyncIterator[Hosted]:
    """Run services inside an application's process, from its start to its end; they leave its signals alone.

    Health and metrics of each are served on a free port. `ConfigError` and `DeclarationError` say what forbids it.
    """
    assembly = Assembly(config or Config())
    try:
        for service in services:
            await assembly.start(service, 0)
        yield Hosted(assembly)
    finally:
        await assembly.close()


async def run(targets: Sequence[Target], config: Config) -> None:
    """Run services until SIGTERM or SIGINT; a second signal ends at once and loses nothing that was committed.

    `ConfigError` and `DeclarationError` say what forbids the start, also what the broker forbids later.
    """
    logs.configure(config.log_level)
    process_memory.steady()
    assembly = Assembly(config)
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    me, begun = asyncio.current_task(), asyncio.Event()
    assert me is not None

    def stop() -> None:
        if asked.is_set():
            os._exit(FAILED_STATUS)
        asked.set()
        if not begun.is_set():
            me.cancel()  # a database that does not answer holds nobody who wants to stop

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop)
    try:
        for service, port in targets:
            await assembly.start(service, port)
        process_memory.settle()
        begun.set()
        failed = await _until_asked(assembly, asked)
    except asyncio.CancelledError:
        if not asked.is_set():
            raise
        me.uncancel()
        failed = ""
    finally:
        await assembly.close()
    if failed:
        raise ConfigError(failed)


async def _until_asked(assembly: Assembly, asked: asyncio.Event) -> str:
    """Wait for a signal or for a service that cannot go on; then the sentence that says why."""
    supervisors = [part.worker.supervisor for part in assembly.parts.values()]
    waits = [asyncio.ensure_future(asked.wait()), *(asyncio.ensure_future(each.died.wait()) for each in supervisors)]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    return next((each.failed for each in supervisors if each.failed), "")
