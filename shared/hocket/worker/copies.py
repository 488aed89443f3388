"""Notices another copy of a service that works on another database (RULES 2.8).

On SQLite one process has the file. A second process with a file of its own consumes the same queues: each of the two
handles what it gets, and neither knows what the other has handled.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from hocket.delivery.runner import SubscriptionRunner
from hocket.errors import TransportError
from hocket.runtime import Runtime

#: Seconds between two looks; a copy is believed after this many looks in a row.
LOOK_SECONDS = 10.0
LOOKS = 2
#: Seconds after a reconnect in which the broker may still count this process's own lost consumer.
STALE_SECONDS = 130.0


@dataclass(slots=True)
class CopyWatch:
    """Counts the consumers of one of the service's queues; `reason` says that there is another copy."""

    runtime: Runtime
    runners: Mapping[str, SubscriptionRunner]
    reason: str = ""

    async def run(self) -> None:
        """Look until cancelled; at once over where replicas share the database, or nothing is heard."""
        if self.runtime.store.replicas or not self.runners:
            return
        queue, runner = next(iter(self.runners.items()))
        epoch, since, seen = 0, 0.0, 0
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = self.runtime.clock.monotonic()
            current = runner.consumer.epoch if runner.consumer is not None else 0
            if current != epoch:
                since = now if epoch else now - STALE_SECONDS  # the first connection leaves nothing behind
                epoch = current
            seen = seen + 1 if now - since >= STALE_SECONDS and await self._others(queue) else 0
            self._tell(queue, found=seen >= LOOKS)

    async def _others(self, queue: str) -> bool:
        try:
            depth = await self.runtime.transport.depth(queue)
            return depth is not None and depth.consumers > 1
        except TransportError:
            return False

    def _tell(self, queue: str, *, found: bool) -> None:
        if found and not self.reason:
            self.reason = (
                f"another copy of {self.runtime.service} consumes {queue} with a database of its own, so events are "
                "handled twice or by the wrong one: stop it, or give all copies one PostgreSQL database"
            )
            self.runtime.trouble("another copy of this service works on another database", queue=queue)
        elif not found and self.reason:
            self.reason = ""
            self.runtime.trouble("the other copy of this service is gone", queue=queue)
