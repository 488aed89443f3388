"""Steps on PostgreSQL: no group waits for a run that a handler holds, nor for a handler's connection (RULES 3.3)."""

import asyncio
import random
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert

from deploy.database.server import PostgresServer
from hocket import Service, Tx
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.topology import DEAD
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.outcome import Word
from hocket.setting_groups import PostgresSettings
from hocket.store.records import Ending
from hocket.telemetry.signals import Signals
from hocket.testing.store_contract.fixtures import TABLES, THINGS, ending, ledger_row
from hocket.worker import Worker
from tests.flows.two_services import Notes
from tests.hocket.sample_services import BRIEF, Echoed, Rung, Shut, Tolled, World, message_of, until, uses
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas

#: Seconds that one group may need where it waits for nobody: far less than a handler holds its run.
SOON = 2.0


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def test_a_run_that_a_handler_holds_is_left_out(replicas: Replicas) -> None:
    """RULES 3.3: the group takes what is free at once, by a connection of the kit's own, and the rest later."""
    small = PostgresSettings(postgres_pool=1, postgres_pool_seconds=0.2)
    store = await replicas.start("boot-1", settings=small)
    await store.commit([Ending(ledger=(ledger_row("held"),))])
    async with store.transaction() as handler:
        assert await handler.ledger(["held"])
        async with asyncio.timeout(SOON):
            async with store.kit_transaction() as group:
                assert await group.ledger(["held", "free"]) == {"free": None}
                await group.write([ending("a")])
    async with store.kit_transaction() as group:
        assert (await group.ledger(["held"])).keys() == {"held"}


class _Held:
    """A service whose step and plain handler share a process; the step holds its transaction until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()
        self.notes = Notes()
        self.service = made = Service("steeple", owner="team-tower", uses=uses, tables=TABLES)

        @made.handler(retry=BRIEF)
        async def toll(rung: Rung, tx: Tx[World]) -> Tolled:
            await (await tx.db()).execute(insert(THINGS).values(name=rung.name))
            if rung.name == "held":
                self.begun.set()
                await self.let_go.wait()
            return Tolled(name=rung.name)

        @made.undo(toll, Tolled, by="name", retry=BRIEF)
        async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx[World]) -> None:
            """Nothing to do outside."""

        @made.handler(retry=BRIEF)
        async def ring(rung: Rung, tx: Tx[World]) -> Echoed:
            return Echoed(name=rung.name)

    def handled(self, queue: str) -> int:
        """How many deliveries of this queue have ended well."""
        return self.notes.attempts_of(queue).get(Word.HANDLED, 0)


async def test_a_failure_waits_for_the_step_and_nobody_for_the_failure(replicas: Replicas) -> None:
    """RULES 3.3, 5.3: while a step's handler holds its run, its failure waits apart; then it is marked and undone."""
    held, clock = _Held(), SystemClock()
    broker = MemoryBroker(clock=clock)
    worker = Worker(
        held.service.using(World()), store=replicas.make("boot-1"), transport=MemoryTransport(broker, "steeple"),
        signals=Signals([held.notes]), clock=clock, chance=random.Random(1), boot="boot-1",
        config=Config.model_construct(), version="test",
    )  # fmt: skip
    await worker.start()
    post = MemoryTransport(broker, "post")
    await post.open()
    try:
        await until(lambda: not worker.health(), PATIENCE)
        await post.publish([message_of(Rung(name="held"), "held", clock)])
        await asyncio.wait_for(held.begun.wait(), PATIENCE)
        await post.publish([message_of(Shut(name="held"), "shut", clock)])
        for number in range(5):
            began, before = clock.monotonic(), held.handled("steeple.ring")
            await post.publish([message_of(Rung(name=f"k{number}"), f"k{number}", clock)])
            await until(lambda before=before: held.handled("steeple.ring") > before, PATIENCE)  # type: ignore[misc]
            assert clock.monotonic() - began < SOON
        await until(lambda: held.handled("steeple.toll") == 5, SOON)
        await until(lambda: held.handled("steeple.toll") == 5, SOON)
        assert not held.handled("steeple.hush")
        held.let_go.set()
        await until(lambda: held.handled("steeple.hush") == 2, PATIENCE)  # the failure, and the undo that it asked for
        assert not worker.health()
        assert not broker.messages(DEAD)
    finally:
        await worker.stop()
        await post.close()
