"""The figures about webhooks in; both need PostgreSQL."""

import asyncio
import socket
from dataclasses import dataclass, replace
from functools import partial

from tests.bench.environment import Databases, Ground, consumer, declare, family_cpu
from tests.bench.figures import HOCKET, Figure
from tests.bench.measured_process import Task
from tests.bench.processes import Child, Run

#: Pushes of one run by many callers and by one, and how many callers.
MANY, ALONE, CALLERS = 6000, 1000, 64
PEER = "aiohttp_by_hand"
_DOORS = {HOCKET: "webhooks.hocket_door", PEER: "webhooks.peer_door"}


@dataclass(slots=True)
class WebhookFigures:
    """Makes the figures on one ground."""

    ground: Ground
    databases: Databases
    scale: float = 1.0

    def figures(self) -> list[Figure]:
        """All of them; none without PostgreSQL."""
        if not self.databases.postgres:
            return []
        many = {each: partial(self._pushes, "webhooks_64_callers", each, MANY, CALLERS) for each in _DOORS}
        alone = {each: partial(self._pushes, "webhook_alone_p50", each, ALONE, 1) for each in _DOORS}
        return [Figure(("webhooks_64_callers",), many, "pushes/s"), Figure(("webhook_alone_p50",), alone, "ms")]

    def _pushes(self, name: str, system: str, count: int, callers: int) -> Run:
        amqp, port = self.ground.fresh(), _free_port()
        asyncio.run(declare(amqp, consumer()))
        task = Task(amqp, database=self.databases.fresh("postgres"), source=str(port))
        calls = Task("", count=max(200, int(count * self.scale)), window=callers, outside=f"http://127.0.0.1:{port}")
        with Child(_DOORS[system], "serve", task) as door:
            door.ready().go()
            with Child("webhooks.requests", "call", replace(calls)) as caller:
                caller.ready()
                before = family_cpu(door.process.pid), self.ground.broker_cpu(), self.databases.cpu()
                caller.go()
                found = caller.result()
                after = family_cpu(door.process.pid), self.ground.broker_cpu(), self.databases.cpu()
        cost = [(late - early) / found["count"] * 1e6 for early, late in zip(before, after, strict=True)]
        return Run({name: found["p50"] if callers == 1 else found["count"] / found["wall"]}, *cost)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
