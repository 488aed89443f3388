"""A projection beside the same handler; and its rebuild while events come and a client reads."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import islice
from typing import Any

from sqlalchemy import select

from hocket import Service
from hocket.assembly import Assembly
from hocket.broker.port import Message
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS
from hocket.config import Config
from hocket.delivery.projecting import rows
from hocket.delivery.projecting.generations import GenerationState
from hocket.envelope import CONTENT_TYPE
from hocket.telemetry import logs
from hocket.worker.projections.rebuild import RebuildCommand
from hocket.worker.projections.swap import Swap
from hocket.worker.worker import Worker
from tests.bench.environment import PRELOAD_BATCH, Databases, Ground, preload
from tests.bench.event import ROUTING_KEY, bodies, order
from tests.bench.processes import Run
from tests.bench.projections.service import Runs, handling, orders, projecting

LOOK = 0.005
#: Seconds within which a run must end.
PATIENCE = 3600.0
#: Events a second that come while it is rebuilt, and reads a second.
RATE, READS = 50, 50


def live(ground: Ground, databases: Databases, store: str, name: str, count: int, *, projection: bool) -> Run:
    """Events a second from a full queue, as a projection or as the same handler."""
    queue = "bench.view@1" if projection else "bench.view"
    values = asyncio.run(_live(ground.fresh(), databases.fresh(store), queue, count, projection=projection))
    return Run({name: values}, 0.0)


async def _live(amqp: str, database: str, queue: str, count: int, *, projection: bool) -> float:
    made = projecting if projection else handling

    async def nothing(worker: Worker) -> None:
        await _until(lambda: queue in worker.runners and worker.runners[queue].consumer is not None)

    runs = Runs()

    async def timed(worker: Worker) -> float:
        await _until(lambda: runs.many >= count and worker.runners[queue].idle())
        return time.perf_counter() - runs.first

    await _running(amqp, database, made(Runs()), nothing)
    await preload(amqp, queue, bodies(count, seed=1), CONTENT_TYPE)
    return count / float(await _running(amqp, database, made(runs), timed))


def rebuild(ground: Ground, databases: Databases, store: str, name: str, count: int) -> Run:
    """Rebuild of so many events: its rate, the reads' p95 before and meanwhile, and how long the swap held its lock."""
    return Run(asyncio.run(_rebuild(ground.fresh(), databases.fresh(store), name, count)), 0.0)


async def _rebuild(amqp: str, database: str, name: str, count: int) -> dict[str, float]:
    service = projecting(Runs())
    held: list[float] = []
    tell = Swap._tell  # noqa: SLF001 -- it knows how long the lock was held

    def told(self: Swap, changed: Any) -> None:
        held.append(self.held)
        tell(self, changed)

    async def measured(worker: Worker) -> dict[str, float]:
        await _until(lambda: "bench.view@1" in worker.projections.live)
        await _said(amqp, count)
        await _drained(worker, "bench.view@1")
        reads: list[float] = []
        others = [asyncio.create_task(_say(service)), asyncio.create_task(_read(service, reads))]
        await asyncio.sleep(10)
        before, reads[:] = _p95(reads), []
        began = time.perf_counter()
        await RebuildCommand(worker.runtime.store)({"do": "begin", "projection": "view"})
        while await _serving(worker) != 2:  # noqa: ASYNC110 -- looks from outside
            await asyncio.sleep(LOOK * 10)
        seconds, meanwhile = time.perf_counter() - began, _p95(reads)
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        return {
            f"{name}_rate": count / seconds, f"{name}_reads": meanwhile / before, f"{name}_held_ms": held[-1] * 1000
        }  # fmt: skip

    Swap._tell = told  # type: ignore[method-assign]  # noqa: SLF001
    try:
        return dict(await _running(amqp, database, service, measured))
    finally:
        Swap._tell = tell  # type: ignore[method-assign]  # noqa: SLF001


async def _running(amqp: str, database: str, service: Service[Any], work: Callable[[Worker], Awaitable[Any]]) -> Any:
    logs.configure("WARNING")
    config = Config(broker_url=amqp, database_url=database, http_port=0)
    assembly = Assembly(config.model_copy(update={"backfill_marker_seconds": 1.0}))
    try:
        async with asyncio.timeout(PATIENCE):
            worker = (await assembly.start(service, 0)).worker
            return await work(worker)
    finally:
        await assembly.close()


async def _until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110 -- looks from outside
        await asyncio.sleep(LOOK)


async def _said(amqp: str, count: int) -> None:
    """Publish events as their service does: the log and the queue get them."""
    transport = RabbitTransport(amqp, "bench")
    await transport.open()
    try:
        await transport.until_ready()
        messages = (Message(EVENTS, ROUTING_KEY, body, CONTENT_TYPE) for body in bodies(count, seed=1))
        while batch := list(islice(messages, PRELOAD_BATCH)):
            await transport.publish(batch)
    finally:
        await transport.close()


async def _drained(worker: Worker, queue: str) -> None:
    depth = await worker.runtime.transport.depth(queue)
    while depth is None or depth.messages or not worker.runners[queue].idle():
        await asyncio.sleep(0.1)
        depth = await worker.runtime.transport.depth(queue)


async def _serving(worker: Worker) -> int:
    async with worker.runtime.store.read() as connection:
        every = await rows.rows_of(connection, "view")
    return next(each.n for each in every if each.state is GenerationState.SERVING)


async def _say(service: Service[Any]) -> None:
    number = 0
    while True:
        async with service.tx() as tx:
            tx.say(order(number))
        number += 1
        await asyncio.sleep(1 / RATE)


async def _read(service: Service[Any], reads: list[float]) -> None:
    projection = next(iter(service.declarations.projections.values())).call
    while True:
        began = time.perf_counter()
        with suppress(TimeoutError):
            async with service.reading(projection) as view:
                await view.db.execute(select(view.table(orders).c.many).where(view.table(orders).c.order_id == "7"))
        reads.append(time.perf_counter() - began)
        await asyncio.sleep(1 / READS)


def _p95(several: list[float]) -> float:
    return sorted(several)[min(math.floor(len(several) * 0.95), len(several) - 1)]
