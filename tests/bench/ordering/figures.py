"""The figures about order."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import kit, of_service
from hocket.envelope import CONTENT_TYPE
from tests.bench.environment import Databases, Ground, consumer, declare, preload
from tests.bench.event import ROUTING_KEY, bodies
from tests.bench.figures import HOCKET, Figure
from tests.bench.measured_process import Task
from tests.bench.ordering.systems import QUEUE
from tests.bench.processes import Child, Run, measure

#: Events of one run, each of a subject of its own; deliveries that wait behind a dead head; others a second beside it.
CONSUMED, PARKED, RATE = 10_000, 1000, 200.0


@dataclass(slots=True)
class OrderFigures:
    """Makes the figures on one ground."""

    ground: Ground
    databases: Databases
    scale: float = 1.0

    def figures(self) -> list[Figure]:
        """All of them; PostgreSQL's where it is there."""
        made: list[Figure] = []
        for store in ("sqlite", *(["postgres"] if self.databases.postgres else [])):
            name = f"consume_ordered_{store}"
            systems: dict[str, Callable[[], Run]] = {
                HOCKET: partial(self._consume, store, name, ordered=True),
                "unordered": partial(self._consume, store, name, ordered=False),
            }
            made.append(Figure((name,), systems))
            names = (f"blocked_{store}_release_s", f"blocked_{store}_beside")
            made.append(Figure(names, {HOCKET: partial(self._blocked, store)}, "", rounds=1))
        return made

    def _consume(self, store: str, name: str, *, ordered: bool) -> Run:
        amqp, count = self.ground.fresh(), max(500, int(CONSUMED * self.scale))
        task = Task(amqp, count=count, database=self.databases.fresh(store))
        if ordered:
            asyncio.run(_declare(amqp))
        else:
            asyncio.run(declare(amqp, consumer()))
        asyncio.run(preload(amqp, QUEUE if ordered else "bench.handle", bodies(count), CONTENT_TYPE))
        module = "ordering.systems" if ordered else "hocket_system"
        return measure(self.ground, module, "consume", task, name, self.databases)

    def _blocked(self, store: str) -> Run:
        amqp = self.ground.fresh()
        asyncio.run(_declare(amqp))
        task = Task(amqp, count=max(50, int(PARKED * self.scale)), rate=RATE, database=self.databases.fresh(store))
        with Child("ordering.systems", "blocked", task) as child:
            child.ready()
            child.go()
            found = child.result()
        values = {f"blocked_{store}_{each}": found[each] for each in ("release_s", "beside")}
        return Run(values, found["cpu"] / found["count"] * 1e6)


async def _declare(amqp: str) -> None:
    transport = RabbitTransport(amqp, "bench")
    await transport.open()
    try:
        await transport.until_ready()
        own = of_service("bench", [(QUEUE, [ROUTING_KEY])], [(QUEUE, "bench.handle")], ordered=(QUEUE,))
        await transport.declare(kit() + own)
    finally:
        await transport.close()
