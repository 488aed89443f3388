"""How far a generation is behind: since when it has not handled all that was said (RULES 14.6)."""

from dataclasses import dataclass

from hocket.delivery.projecting import rows
from hocket.delivery.runner import SubscriptionRunner
from hocket.runtime import Runtime


@dataclass(slots=True)
class LagWatch:
    """Notes of one generation that runs here the moment of which it has handled everything; `behind` in seconds."""

    runtime: Runtime
    runner: SubscriptionRunner
    behind: float = 0.0
    _noted: float = 0.0

    async def look(self, live: bool) -> None:
        """Look once; `live`: it has heard its history. Raises `StoreError` or `TransportError`."""
        lane, projected = self.runner.batches, self.runner.subscription.projected
        assert lane is not None
        assert projected is not None
        now = (await self.runtime.store.clock.time()).now
        caught_up = lane.latest
        if live and self.runner.idle():
            depth = await self.runtime.transport.depth(self.runner.subscription.queue)
            if depth is not None and not depth.messages:
                caught_up = now
        if caught_up > self._noted:
            async with self.runtime.store.transaction() as tx:
                await rows.set_caught_up(await tx.db(), projected.name, projected.n, caught_up)
            self._noted = caught_up
        self.behind = max(now - self._noted, 0.0) if self._noted else 0.0
