"""Settings of a running service have an effect: each changes what the service does."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from hocket import Service, Tx
from hocket.broker.memory import MemoryTransport
from hocket.broker.port import Message, Published
from hocket.broker.topology import RECEIPTS
from hocket.config import Config
from hocket.store.records import OutboxRow
from hocket.worker import Worker
from tests.hocket.sample_services import FaultyStore, Processes, Rung, World, bells, echo, until

#: Virtual seconds by which an end may come later than its bound, for the looks in between.
SLACK = 3.0


async def _hear(tower: Processes, count: int) -> None:
    for number in range(count):
        await tower.hear(Rung(name=f"bell {number}"), f"k{number}")


async def _stopped(tower: Processes, name: str) -> float:
    """Virtual seconds that a stop takes."""
    began = tower.clock.monotonic()
    await tower.stop(name)
    return tower.clock.monotonic() - began


def _publishes(worker: Worker) -> tuple[list[list[Message]], list[int]]:
    """The batches that the relay publishes from now on, and how many publishes were under way at each."""
    batches, under_way, flying = list[list[Message]](), list[int](), set[int]()
    publish = worker.runtime.transport.publish

    async def seen(messages: Sequence[Message]) -> list[Published]:
        batches.append(list(messages))
        flying.add(number := len(batches))
        under_way.append(len(flying))
        await asyncio.sleep(0.01)  # so that the others set out meanwhile
        try:
            return await publish(messages)
        finally:
            flying.discard(number)

    worker.runtime.transport.publish = seen  # type: ignore[method-assign]  # what leaves, as it leaves
    return batches, under_way


@pytest.mark.parametrize("seconds", [1.0, 20.0])
async def test_stop_seconds(tower: Processes, seconds: float) -> None:
    """A handler that hangs holds a stop for `HOCKET_STOP_SECONDS`."""

    async def hang(rung: Rung, tx: Tx[World]) -> None:
        await asyncio.sleep(3600)

    await tower.start(bells.using(World(behave=hang)), Config.model_construct(stop_seconds=seconds))
    await _hear(tower, 1)
    await asyncio.sleep(1)
    assert seconds <= await _stopped(tower, "bells") < seconds + SLACK


@pytest.mark.parametrize("seconds", [1.0, 20.0])
async def test_drain_seconds(tower: Processes, seconds: float) -> None:
    """A broker that confirms nothing holds a stop for `HOCKET_DRAIN_SECONDS`."""
    await tower.start(bells.using(World(behave=echo)), Config.model_construct(drain_seconds=seconds))
    await tower.quiet()
    await _hear(tower, 1)
    tower.broker.nack_next(1000)
    await asyncio.sleep(0.1)
    took = await _stopped(tower, "bells")
    tower.broker.nack_next(0)
    assert seconds <= took < seconds + SLACK


@pytest.mark.parametrize("seconds", [1.0, 20.0])
async def test_close_seconds(tower: Processes, seconds: float) -> None:
    """What `uses=` made and does not close holds a stop for `HOCKET_USES_CLOSE_SECONDS`."""

    @asynccontextmanager
    async def uses() -> AsyncIterator[None]:
        yield
        await asyncio.sleep(3600)

    await tower.start(
        Service("stuck", owner="team-tower", uses=uses), Config.model_construct(uses_close_seconds=seconds)
    )
    await tower.quiet()
    assert seconds <= await _stopped(tower, "stuck") < seconds + SLACK


@pytest.mark.parametrize("rows", [1, 3])
async def test_commit_attempts(tower: Processes, rows: int) -> None:
    """No transaction commits more attempts than `HOCKET_COMMIT_ATTEMPTS`."""
    worker = await tower.start(bells.using(World()), Config.model_construct(commit_attempts=rows))
    await tower.quiet()
    groups = list[int]()
    assert isinstance(worker.runtime.store, FaultyStore)
    worker.runtime.store.refuses = lambda endings: groups.append(len(endings))
    await _hear(tower, 12)
    await tower.quiet()
    assert max(groups) == rows
    assert sum(groups) == 12


async def test_owner_renew_seconds(tower: Processes) -> None:
    """The lease is renewed every `HOCKET_OWNER_RENEW_SECONDS`."""
    renewed = list[float]()

    async def renew(self: FaultyStore) -> bool:
        renewed.append(asyncio.get_running_loop().time())
        return True

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FaultyStore, "renew", renew)
        await tower.start(bells.using(World()), Config.model_construct(owner_renew_seconds=2.0))
        await asyncio.sleep(11)
        assert len(renewed) == 5
        await tower.stop("bells")


@pytest.mark.parametrize(("batch", "senders"), [(5, 2), (2, 4)])
async def test_outbox_batch_and_senders(tower: Processes, batch: int, senders: int) -> None:
    """A publish has at most `HOCKET_OUTBOX_BATCH` rows, and `HOCKET_OUTBOX_SENDERS` are under way at once."""
    config = Config.model_construct(outbox_batch=batch, outbox_senders=senders)
    worker = await tower.start(bells.using(World(behave=echo)), config)
    await tower.quiet()
    batches, under_way = _publishes(worker)
    await _hear(tower, 60)
    await tower.quiet()
    assert max(len(each) for each in batches) == batch
    assert max(under_way) == senders


@pytest.mark.parametrize(("seconds", "looks"), [(1.0, 60), (20.0, 3)])
async def test_outbox_look_seconds(tower: Processes, seconds: float, looks: int) -> None:
    """An idle service searches its outbox every `HOCKET_OUTBOX_LOOK_SECONDS`."""
    found = list[float]()
    due = FaultyStore.due

    async def seen(self: FaultyStore, after: int, limit: int) -> list[OutboxRow]:
        found.append(asyncio.get_running_loop().time())
        return await due(self, after, limit)

    worker = await tower.start(bells.using(World()), Config.model_construct(outbox_look_seconds=seconds))
    await tower.quiet()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(FaultyStore, "due", seen)
        await asyncio.sleep(60)
    assert worker.live
    assert abs(len(found) - looks) <= 2


async def test_receipt_linger_seconds(tower: Processes) -> None:
    """Receipts wait `HOCKET_RECEIPT_LINGER_SECONDS` for others, and leave with them."""
    worker = await tower.start(bells.using(World()), Config.model_construct(receipt_linger_seconds=5.0))
    await tower.quiet()
    batches, _ = _publishes(worker)
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
        await asyncio.sleep(1)
    assert not [each for batch in batches for each in batch if b'"receipt"' in each.body]
    await until(lambda: bool(tower.receipts()), 10)
    [[message]] = [batch for batch in batches if b'"receipt"' in batch[0].body]
    assert len(json.loads(message.body)) == 3
    assert {each.exchange for batch in batches for each in batch} == {RECEIPTS}


async def test_topology_seconds(tower: Processes) -> None:
    """The topology is declared again every `HOCKET_TOPOLOGY_SECONDS`, and never more often; the first time earlier."""
    declared = list[float]()
    declare = MemoryTransport.declare

    async def seen(self: MemoryTransport, topology: Any) -> None:
        declared.append(asyncio.get_running_loop().time())
        await declare(self, topology)

    await tower.start(bells.using(World()), Config.model_construct(topology_seconds=7.0))
    await tower.quiet()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MemoryTransport, "declare", seen)
        await asyncio.sleep(36)
    assert len(declared) in (5, 6)
    assert {round(later - earlier, 3) for earlier, later in pairwise(declared)} == {7.0}


async def test_silent_seconds(tower: Processes) -> None:
    """A broker that confirms nothing for `HOCKET_UNCONFIRMED_SECONDS` makes the service not ready."""
    worker = await tower.start(bells.using(World(behave=echo)), Config.model_construct(unconfirmed_seconds=30.0))
    await tower.quiet()
    await _hear(tower, 1)
    tower.broker.alarm(True)

    def said() -> bool:
        return any("has not confirmed anything" in reason for reason in worker.health())

    await asyncio.sleep(25)
    assert not said()
    await asyncio.sleep(7)
    assert said()
    tower.broker.alarm(False)
    await tower.quiet()
