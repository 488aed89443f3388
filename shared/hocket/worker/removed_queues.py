"""Says when the queue of a removed handler or projection still fills: nobody takes from it, and it has no bound.

The database remembers which queues the service has declared; what is no longer declared is looked at on the broker,
until it is gone there.
"""

import asyncio
import json
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from hocket.declarations.ordering.option import SUFFIX
from hocket.delivery.projecting.rows import all_rows
from hocket.envelope.keys import GENERATION_MARK
from hocket.errors import StoreError, TransportError
from hocket.runtime import Runtime
from hocket.store.meta import meta_of, set_meta

#: The row of `hocket_meta` with the names of all queues that were declared and are not known to be gone.
QUEUES = "queues"
#: Seconds between two looks at what is no longer declared.
LOOK_SECONDS = 3600.0
#: Queues that are remembered, the last in the order of their names where there are more.
MAX_REMEMBERED = 1000
_HANDLER = "messages wait in the queue of a handler that was removed"
_WAY_OUT = 'name it by formerly="…" in the handler that takes its place, or see `hocket topology --prune`'


@dataclass(frozen=True, slots=True)
class RemovedQueues:
    """Watches for one service; `declared` are its queues, and those of former names, which are emptied.

    `projections` are the names of its projections, whose generations come and go by themselves.
    """

    runtime: Runtime
    declared: Collection[str]
    projections: Collection[str] = ()

    async def run(self) -> None:
        """Look now and every `LOOK_SECONDS`, until cancelled; a database or broker that is away is looked at later."""
        while True:
            with suppress(StoreError, TransportError):
                await self.look()
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Look once. Raises `StoreError`, or `TransportError`."""
        known = await declared_of(self.runtime)
        gone = {queue for queue in known - set(self.declared) if await self._is_gone(queue)}
        wanted = sorted((known | set(self.declared)) - gone)[-MAX_REMEMBERED:]
        if set(wanted) != known:
            await self._remember(wanted)
        async with self.runtime.store.read() as connection:
            generations = await all_rows(connection)
        for name in generations.keys() - set(self.projections):
            for each in generations[name]:
                queue = f"{self.runtime.service}.{name}{GENERATION_MARK}{each.n}"
                way_out = "declare it again, or delete its queues at the broker and drop its tables"
                for one in (queue, queue + SUFFIX):
                    await self._is_gone(one, "messages wait in the queue of a projection that was removed", way_out)

    async def _is_gone(self, queue: str, what: str = _HANDLER, way_out: str = _WAY_OUT) -> bool:
        depth = await self.runtime.transport.depth(queue)
        if depth is not None and depth.messages and not depth.consumers:
            self.runtime.trouble(what, queue=queue, messages=depth.messages, way_out=way_out)
        return depth is None

    async def _remember(self, queues: list[str]) -> None:
        async with self.runtime.store.transaction() as tx:
            await set_meta(await tx.db(), QUEUES, json.dumps(queues))


async def declared_of(runtime: Runtime) -> set[str]:
    """The queues that the service has declared so far, as its database remembers them. Raises `StoreError`."""
    async with runtime.store.read() as connection:
        found = await meta_of(connection, QUEUES)
    return set(json.loads(found)) if found else set()
