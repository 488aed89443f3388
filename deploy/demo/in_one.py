"""The stage of `memory://`: every service in this process, each still stopped, killed and started by itself."""

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from typing import Any, TextIO

from deploy.demo.place import Place, StepFailed
from deploy.demo.sabotage import spoil
from hocket.assembly import Assembly
from hocket.broker.port import Transport
from hocket.cli.targets import load
from hocket.config import Config
from hocket.errors import HocketError
from hocket.telemetry import logs


class InOne:
    """All services in one loop, over one broker in memory."""

    def __init__(self, place: Place, broker_url: str, sabotage: str = "") -> None:
        environment = place.environment(broker_url)
        os.environ.update(environment)  # a service reads its own settings from there when it starts
        self._place = place
        self._log: TextIO = place.log("services").open("a", encoding="utf-8")
        logs.configure("INFO", self._log)
        if sabotage:
            spoil(sabotage)
        self._assembly = Assembly(Config())
        self._context: Context = copy_context()  # what runs is found by context: one for all starts and ends

    async def start(self, service: str) -> None:
        """See `Stage`."""
        try:
            await self._within(self._assembly.start(load(f"services.{service}"), self._place.port(service)))
        except HocketError as failed:
            raise StepFailed(f"The step 'start {service}' failed: {failed}.") from failed

    async def stop(self, service: str) -> None:
        """See `Stage`."""
        await self._within(self._assembly.stop(service))

    async def kill(self, service: str) -> None:
        """Cancel its tasks at an await, leave its database uncommitted, return its deliveries."""
        await self._within(self._assembly.kill(service))

    async def close(self) -> None:
        """See `Stage`."""
        await self._within(self._assembly.close())
        logs.configure("ERROR")
        self._log.close()

    def fallen(self) -> str:
        """See `Stage`."""
        for service, part in self._assembly.parts.items():
            if failed := part.worker.runtime.tasks.failed:
                return f"{service} cannot go on: {failed}; its log is {self._place.shown(self._place.log(service))}"
        return ""

    @asynccontextmanager
    async def transport(self) -> AsyncIterator[Transport]:
        """See `Stage`; the broker in memory is reached by the transport of a service that runs."""
        yield self._assembly.parts["orders"].transport

    async def _within(self, work: Coroutine[Any, Any, Any]) -> None:
        await asyncio.get_running_loop().create_task(work, context=self._context)
