"""RULES 5.1, 5.3 with `across=True` on PostgreSQL: two replicas hear purchases and cancellations at once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from sqlalchemy import text

from deploy.database.server import PostgresServer
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.topology import DEAD
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.telemetry.signals import Signals
from hocket.worker import Worker
from tests.hocket.across_bank import BOUGHT, DROPPED, Bank, Bought, Cancelled, bank
from tests.hocket.sample_services import message_of, until
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas

#: Orders that are bought and cancelled at once.
ORDERS = 40


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def ended(worker: Worker) -> int:
    """How many runs are undone or refused."""
    async with worker.runtime.store.read() as db:
        query = "SELECT count(*) FROM hocket_ledger WHERE state IN ('undone', 'refused')"
        return int((await db.execute(text(query))).scalar_one())


async def test_replicas_undo_each_scope_once(replicas: Replicas) -> None:
    """RULES 5.1, 5.3: whichever comes first at whichever replica, what was taken is undone, each once."""
    clock, chance = SystemClock(), random.Random(7)
    broker, world = MemoryBroker(clock=clock), Bank()
    workers = [
        Worker(
            bank.using(world), store=replicas.make(boot), transport=MemoryTransport(broker, boot), signals=Signals(),
            clock=clock, chance=chance, boot=boot, config=Config.model_construct(), version="test",
        )
        for boot in ("boot-1", "boot-2")
    ]  # fmt: skip
    post = MemoryTransport(broker, "post")
    async with AsyncExitStack() as stack:
        for worker in workers:
            await worker.start()
            stack.push_async_callback(worker.stop)
        await post.open()
        stack.push_async_callback(post.close)
        await until(lambda: not any(worker.health() for worker in workers), PATIENCE)
        messages = []
        for number in map(str, range(ORDERS)):
            bought = message_of(Bought(order=number), f"k{number}", clock, correlation_id=BOUGHT)
            messages += [bought, bought]
            for key in ("c", "d"):
                said = Cancelled(order=number)
                messages.append(message_of(said, f"{key}{number}", clock, correlation_id=DROPPED))
        chance.shuffle(messages)
        await post.publish(messages)
        async with asyncio.timeout(PATIENCE):
            while await ended(workers[0]) < ORDERS:  # noqa: ASYNC110 -- the database says it, no event
                await asyncio.sleep(0.1)
    assert not broker.messages(DEAD)
    given = Counter(order for order, *_ in world.given)
    assert set(given.values()) <= {1}
    assert len(given) == len(world.taken)
    assert {flow for _, _, flow, _ in world.given} == {BOUGHT}
