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
from hocket.errors import RowLocked
from hocket.outcome import Word
from hocket.saga.ledger import LedgerState
from hocket.setting_groups import PostgresSettings
from hocket.store.records import Ending
from hocket.telemetry.signals import Signals
from hocket.testing.store_contract.fixtures import KEPT, TABLES, THINGS, ending, key_of, ledger_row, outbox_row
from hocket.worker import Worker
from tests.flows.two_services import Notes
from tests.hocket.sample_services import BRIEF, Echoed, Rung, Shut, Tolled, World, message_of, until, uses
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas, insist

#: Seconds that one group may need where it waits for nobody: far less than a handler holds its run.
SOON = 2.0


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def test_a_run_that_another_transaction_holds_is_left_out(replicas: Replicas) -> None:
    """RULES 3.3: the group waits no longer than a batch may, by a connection of the kit's own; the rest is written."""
    small = PostgresSettings(postgres_pool=1, postgres_pool_seconds=0.2)
    store = await replicas.start("boot-1", settings=small)
    run = ledger_row("held").run
    await store.commit([Ending(ledger=(ledger_row("held"),))])
    [there] = (await store.admit([], [], [run])).ledger.values()
    end = ending("held")._replace(ledger=(there,))
    async with store.transaction() as handler:
        assert await handler.ledger([run])
        async with asyncio.timeout(SOON):
            answers = await store.commit([ending("a"), end, ending("b")])
            assert [(one.won, one.blocked) for one in answers] == [(True, False), (False, True), (True, False)]
            with pytest.raises(RowLocked):
                async with store.kit_transaction() as group:
                    await group.ledger([run])
            assert (await store.admit([key_of("held")], [], [run])).ledger == {run: there}
    assert [one.won for one in await store.commit([end])] == [True]


async def test_replicas_end_the_same_steps_in_opposite_orders(replicas: Replicas) -> None:
    """RULES 3.1, 3.3: the ledger is locked by run and the inbox by key, so nothing is half and nobody deadlocks."""
    stores = [await replicas.start(f"boot-{n}") for n in range(2)]
    rows = [ledger_row(f"step-{n}")._replace(keeps=None) for n in range(40)]
    found = await stores[0].admit([], rows, [])
    assert found.begun == {row.run for row in rows}
    wins: list[str] = []

    async def end(n: int) -> None:
        there = (await stores[n].admit([], [], [row.run for row in rows])).ledger
        ends = [
            ending(f"step-{at}", outbox=[outbox_row(f"step-{at}")])._replace(
                ledger=(there[row.run]._replace(state=LedgerState.DONE, keeps=KEPT),)
            )
            for at, row in enumerate(rows)
        ][:: 1 - 2 * n]
        wins.extend(f"{each.inbox}" for each, one in zip(ends, await insist(stores[n], ends), strict=True) if one.won)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(end(0), end(1))
    assert len(set(wins)) == len(wins) == len(rows)
    counted = "SELECT (SELECT count(*) FROM hocket_outbox), (SELECT count(*) FROM hocket_kept)"
    assert await replicas.sql(counted) == "40|40"
    assert await replicas.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()") == "0"


class _Held:
    """A service whose step and plain handler share a process; the step holds its transaction until it is let go."""

    def __init__(self) -> None:
        self.begun, self.let_go = asyncio.Event(), asyncio.Event()
        self.notes, self.begins = Notes(), 0
        self.service = made = Service("steeple", owner="team-tower", uses=uses, tables=TABLES)

        @made.handler(retry=BRIEF)
        async def toll(rung: Rung, tx: Tx[World]) -> Tolled:
            await (await tx.db()).execute(insert(THINGS).values(name=rung.name))
            if rung.name == "held":
                self.begun.set()
                self.begins += 1
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


async def test_a_failure_marks_a_step_whose_transaction_is_open(replicas: Replicas) -> None:
    """RULES 3.3, 5.3: nobody waits for it; at its end it finds the mark, and is undone without running again."""
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
        await until(lambda: held.handled("steeple.hush") == 1, SOON)  # the failure: it marks the run at work
        held.let_go.set()
        await until(lambda: held.handled("steeple.hush") == 2, PATIENCE)  # the failure, and the undo that it asked for
        assert not worker.health()
        assert not broker.messages(DEAD)
        assert held.begins == 1
    finally:
        await worker.stop()
        await post.close()
