"""The services of one process: assembles, starts, stops and (on `memory://`) kills each on its own."""

import asyncio
import os
import random
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry

from hocket import __version__
from hocket.assembly import drivers, settings_faults
from hocket.assembly.announcement import announce
from hocket.broker.port import Transport
from hocket.clock import KitClock
from hocket.config import Config
from hocket.envelope.ids import Ids
from hocket.errors import ConfigError
from hocket.masking.mask import keep_secret
from hocket.masking.values import secrets_of
from hocket.resilience import forks
from hocket.resilience.supervisor import Supervisor
from hocket.runtime import here
from hocket.service import Service
from hocket.store.port import CrashableStore
from hocket.telemetry import otel
from hocket.telemetry.log_lines import LogsListener
from hocket.telemetry.prometheus import PrometheusListener
from hocket.telemetry.signals import Listener, Signals
from hocket.worker.http.operator import Operator
from hocket.worker.http.server import HttpServer
from hocket.worker.worker import Worker


@dataclass(slots=True)
class StartedService:
    """One running service and its parts."""

    worker: Worker
    store: CrashableStore
    transport: Transport
    web: HttpServer
    operator: Operator | None = None
    stack: ExitStack = field(default_factory=ExitStack)


class Assembly:
    """The services of one process; each can be started, stopped and (on `memory://`) killed on its own."""

    def __init__(self, config: Config, *, traces: bool = False) -> None:
        """`traces`: the log shows the stack of each failed attempt: at a terminal, or at `HOCKET_LOG_LEVEL=DEBUG`."""
        self._config = config
        keep_secret(secrets_of(config))
        self._chance = random.SystemRandom()
        self._traces = otel.from_environment(os.environ, __version__)
        self._logs = LogsListener(traces=traces)
        self._memory = drivers.memory_broker(config)
        self.parts: dict[str, StartedService] = {}
        self.supervisors: dict[str, Supervisor] = {}  # also of services that have stopped

    async def start(self, service: Service[Any], port: int) -> StartedService:
        """Start one service on its port. `DeclarationError` and `ConfigError` say what is wrong."""
        settings_faults.check(service, self._config)
        forks.close_network_in_children(asyncio.get_running_loop())
        clock = KitClock()  # each service its own: each follows its own database
        boot = Ids(clock, self._chance).uuid7()
        store = drivers.store(service.name, self._config, clock, boot)
        transport = drivers.transport(service.name, self._config, self._memory)
        metrics = PrometheusListener(CollectorRegistry())
        worker = Worker(
            service,
            store=store,
            transport=transport,
            signals=self._signals(metrics),
            clock=clock,
            chance=self._chance,
            boot=boot,
            version=__version__,
            config=self._config,
        )
        file = drivers.operator_file(service.name, self._config)
        operator = Operator(file, worker.commands) if file is not None else None
        web = self._web(service, port, worker, metrics, operator)
        part = StartedService(worker, store, transport, web, operator)
        self.supervisors[service.name] = worker.runtime.tasks
        part.stack.enter_context(here({service.name: worker}))
        try:
            await web.start()
            announce(service, self._config, web.port)
            await worker.start()
            await self._take_commands(part)
        except BaseException:
            await web.stop()
            part.stack.close()
            raise
        self.parts[service.name] = part
        return part

    def _web(
        self, service: Service[Any], port: int, worker: Worker, metrics: PrometheusListener, operator: Operator | None
    ) -> HttpServer:
        return HttpServer(
            service.name,
            self._config.http_host,
            port,
            [*service.mounts, worker.webhooks.mount, *([operator.mount] if operator is not None else [])],
            worker.health,
            lambda: worker.live,
            metrics.text,
            self._config.http_body_bytes,
            self._config.http_connections,
            self._config.allowed_hosts,
        )

    async def _take_commands(self, part: StartedService) -> None:
        """Tell where commands are taken, now that the database is held."""
        if part.operator is None:
            return
        try:
            part.operator.listening(self._config.http_host, part.web.port)
        except ConfigError:
            await part.worker.stop(0)
            raise

    def _signals(self, metrics: PrometheusListener) -> Signals:
        """Each service has metrics of its own, so that a scraper of several ports counts nothing twice."""
        listeners: list[Listener] = [metrics, self._logs]
        if self._traces is not None:
            listeners.append(self._traces)
        return Signals(listeners)

    async def stop(self, name: str) -> None:
        """Stop one service in an order that loses nothing."""
        part = self.parts[name]
        try:
            if part.operator is not None:
                part.operator.close()
            await part.web.stop()
            await part.worker.stop()
        finally:
            del self.parts[name]
            part.stack.close()

    async def kill(self, name: str) -> None:
        """On `memory://`: end one service as SIGKILL would. Its deliveries go back, its open transactions are lost."""
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
