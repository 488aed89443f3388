"""RULES 15 on PostgreSQL: two replicas that write about one subject at once."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from deploy.database.server import PostgresServer
from hocket.broker.memory import MemoryBroker, MemoryTransport
from hocket.broker.topology import DEAD
from hocket.clock import SystemClock
from hocket.config import Config
from hocket.store.postgres.store import PostgresStore
from hocket.store.records import Ending, Written
from hocket.telemetry.signals import Signals
from hocket.testing.store_contract.fixtures import ending, key_of
from hocket.testing.store_contract.subjects import DONE, due_now, value_of, valued, waiting
from hocket.worker import Worker
from tests.hocket.delivery.staleness.shelf import Bought, Keeper, Packed, Priced, priced, shelf
from tests.hocket.sample_services import message_of, until
from tests.hocket.store.postgres.replicas import PATIENCE, Replicas, insist

#: Subjects of one test, and how many values each has.
SUBJECTS, VALUES = 12, 8


@pytest.fixture
async def replicas(postgres: PostgresServer) -> AsyncIterator[Replicas]:
    """A schema of this test's own."""
    async with Replicas(postgres) as made:
        yield made


async def both(replicas: Replicas) -> tuple[PostgresStore, PostgresStore]:
    """Two processes on it."""
    return await replicas.start("boot-1"), await replicas.start("boot-2")


async def test_the_first_of_a_subject_in_two_processes(replicas: Replicas) -> None:
    """RULES 15.1: a row that is not there yet is locked too, so whoever is second sees what the first left."""
    one, other = await both(replicas)
    for round_ in range(20):
        subject = key_of(f"order/{round_}")

        async def write(store: PostgresStore, value: int, subject: bytes = subject, of: int = round_) -> Written:
            [written] = await insist(store, [valued(f"{of} {value}", value, subject)])
            return written

        low, high = await asyncio.gather(write(one, 1), write(other, 2))
        assert high.won
        assert await value_of(one, subject) == 2
        if low.won:  # then it was first
            [again] = await insist(one, [valued(f"{round_} again", 1, subject)])
            assert not again.won


async def test_whoever_waits_for_the_row_decides_by_what_it_finds(replicas: Replicas) -> None:
    """RULES 15.1: a group that waits for a handler's transaction loses to the value that this commits."""
    one, other = await both(replicas)
    await one.commit([valued("first", 1)])
    async with one.transaction() as tx:
        assert [each.won for each in await tx.write([valued("nine", 9)])] == [True]
        [written] = await other.commit([valued("five", 5)])
        assert written.blocked, "the row is held, and nobody waits for ever"
    [written] = await insist(other, [valued("five", 5)])
    assert not written.won
    assert await value_of(other) == 9


async def test_waiting_and_done_at_once(replicas: Replicas) -> None:
    """RULES 15.4: in whichever order two processes take the mark's lock, who waits is sent exactly once."""
    one, other = await both(replicas)
    for round_ in range(20):
        subject = key_of(f"order/{round_}")
        first = ending(f"first {round_}")._replace(marks=(DONE._replace(key=subject),))
        written = await asyncio.gather(
            insist(one, [waiting(f"w{round_}", 60.0, subject)]), insist(other, [first])
        )  # fmt: skip
        assert due_now([*written[0], *written[1]]) == [f"w{round_}"]


async def test_groups_that_take_the_same_rows_in_other_orders(replicas: Replicas) -> None:
    """RULES 15.1, 3.3: locks are taken in the order of the keys, so groups do not wait for each other in a circle."""
    one, other = await both(replicas)
    chance = random.Random(5)

    async def write(store: PostgresStore, at: int) -> None:
        group: list[Ending] = [
            valued(f"{at} {store is one} {n}", at + 1, key_of(f"order/{n}"))._replace(
                marks=(DONE._replace(key=key_of(f"mark/{n}")),)
            )
            for n in chance.sample(range(20), 20)
        ]
        await insist(store, group)

    await asyncio.gather(*(write(store, at) for at in range(10) for store in (one, other)))
    assert {await value_of(one, key_of(f"order/{n}")) for n in range(20)} == {10}


async def test_two_replicas_keep_the_latest(replicas: Replicas) -> None:
    """RULES 15.1 to 15.4: whatever the order and the replica, nothing older is kept after something newer."""
    clock, chance = SystemClock(), random.Random(11)
    broker, world = MemoryBroker(clock=clock), Keeper()
    workers = [
        Worker(
            shelf.using(world), store=replicas.make(boot), transport=MemoryTransport(broker, boot), signals=Signals(),
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
        for at in range(SUBJECTS):
            for version in range(VALUES):
                event = Priced(version=version, own=True)
                messages.append(message_of(event, f"p{at} {version}", clock, subject=f"item/{at}"))
            messages.append(message_of(Packed(), f"s{at}", clock, subject=f"item/{at}"))
            messages.append(message_of(Bought(), f"b{at}", clock, subject=f"item/{at}"))
        chance.shuffle(messages)
        await post.publish(messages)
        await until(lambda: broker.idle() and all(worker.idle() for worker in workers), PATIENCE)
        kept = await priced(workers[0])
    assert not broker.messages(DEAD)
    ran = Counter(each for each in world.ran if not each.startswith("price"))
    assert ran == {"reserve": SUBJECTS, "send": SUBJECTS}
    assert kept == {f"item/{at}": VALUES - 1 for at in range(SUBJECTS)}
