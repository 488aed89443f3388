"""Declares the service's topology: at the start, after each new connection, and every `HOCKET_TOPOLOGY_SECONDS`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from hocket.broker.topology import Topology
from hocket.errors import HocketError, TransportError
from hocket.resilience.retrying import until_done
from hocket.retry import Backoff
from hocket.runtime import Runtime

#: Waits between tries to declare and consume while the link is unstable.
START_BACKOFF = Backoff(first=0.5, longest=0.5)


@dataclass(frozen=True, slots=True)
class TopologyDeclaration:
    """Keeps the topology of one service declared."""

    runtime: Runtime
    topology: Topology

    async def start(self) -> None:
        """Declare it; return when the broker has it. `ConfigError` where the broker refuses it."""
        await until_linked(self.runtime, partial(self.runtime.transport.declare, self.topology))
        self.runtime.transport.on_ready(self.again)
        self.runtime.tasks.spawn("declare", self.keep())

    async def again(self) -> None:
        """Declare what is missing; a failure is reported, and the next round tries again."""
        try:
            await self.runtime.transport.declare(self.topology)
        except HocketError as error:
            self.runtime.trouble("the topology could not be declared again", error=str(error))

    async def keep(self) -> None:
        """Declare it from time to time on a healthy link too: no message reports that a binding was removed.

        The first wait is drawn by chance, so that the services that a roll-out has started together do not all declare
        in the same second for ever.
        """
        wait = self.runtime.chance.uniform(0, self.runtime.config.topology_seconds)
        while True:
            await asyncio.sleep(wait)
            wait = self.runtime.config.topology_seconds
            if self.runtime.transport.link().ready:
                await self.again()


async def until_linked(runtime: Runtime, work: Callable[[], Awaitable[None]]) -> None:
    """Do `work` on a link that is ready; repeat it where the link is lost meanwhile."""

    async def linked() -> None:
        await runtime.transport.until_ready()
        await work()

    def failed(error: TransportError) -> None:
        runtime.trouble("the connection to the broker was lost during the start", reason=str(error))

    await until_done(linked, START_BACKOFF, runtime.chance, on=TransportError, failed=failed)
