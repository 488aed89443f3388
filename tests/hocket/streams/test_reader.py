"""Readers of streams: the offset is stored in the transaction of what was folded."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import insert

from hocket import Tx
from hocket.errors import StoreError
from hocket.observe import Observer, Raw
from hocket.store.sqlite.transaction import SqliteTx
from tests.hocket.sample_services import FaultyStore, Processes, Rung, World, booked, tables, tolled, uses

watcher = Observer("watcher", owner="team-tower", uses=uses, tables=tables)


@watcher.reads("log")
async def fold(several: list[Raw], tx: Tx[World]) -> None:
    for each in several:
        tx.use.attempts.append(each.offset or 0)
        await tx.use.behave(each, tx)
        await (await tx.db()).execute(insert(tolled).values(name=str(each.offset)))


async def _say(tower: Processes, count: int) -> None:
    for number in range(count):
        await tower.hear(Rung(name="a"), f"k{number}-{tower.broker.depth('hocket.log')}")


async def test_it_reads_on_where_it_stood(tower: Processes) -> None:
    """RULES 7.1: each fact is folded once over cuts, kills and stops."""
    worker = await tower.start(watcher.using(World()))
    for end in (tower.kill, tower.stop, None):
        await _say(tower, 10)
        tower.broker.cut("watcher")
        await _say(tower, 10)
        await tower.quiet()
        if end is not None:
            await end("watcher")
            worker = await tower.start(watcher.using(World()))
    await tower.quiet()
    assert await booked(worker) == [str(offset) for offset in range(60)]


@pytest.mark.parametrize("kind", ["error", "cancelled"])
async def test_a_reader_that_raises_gets_the_batch_again(tower: Processes, kind: str) -> None:
    """Whatever a team's reader raises, it is asked again, and nothing of the failed batch stands."""
    failures = [kind] * 3

    async def stumble(raw: Any, tx: Tx[World]) -> None:
        if failures:
            failures.pop()
            raise ValueError("x") if kind == "error" else asyncio.CancelledError

    worker = await tower.start(watcher.using(World(behave=stumble)))
    await _say(tower, 5)
    await tower.quiet()
    assert await booked(worker) == [str(offset) for offset in range(5)]


async def test_a_commit_of_unknown_outcome_is_no_other_reader(tower: Processes) -> None:
    """RULES 3.2, 7.1: a commit that had happened after all is found by its own token; the reading goes on."""
    worker = await tower.start(watcher.using(World()))
    await tower.quiet()
    cuts = ["once"]

    class Cut(FaultyStore):
        @asynccontextmanager
        async def transaction(self, lease: float | None = None) -> AsyncIterator[SqliteTx]:
            async with super().transaction(lease) as tx:
                yield tx
            if cuts:
                cuts.pop()
                raise StoreError("the disk answered with an error")

    store = worker.runtime.store
    assert isinstance(store, FaultyStore)
    store.__class__ = Cut
    await _say(tower, 3)
    await tower.quiet()
    await _say(tower, 3)
    await tower.quiet()
    assert await booked(worker) == [str(offset) for offset in range(6)]


async def test_of_two_readers_one_stops(tower: Processes) -> None:
    """RULES 7.1: the token of the newer fences the older, which ends and says so."""
    world, told = World(), list[tuple[str, object]]()
    worker = await tower.start(watcher.using(world))
    await tower.quiet()
    worker.runtime.signals.trouble = lambda service, what, **facts: told.append((what, facts["source"]))  # type: ignore[method-assign]
    async with worker.runtime.store.transaction() as tx:
        db: Any = await tx.db()
        await db.exec_driver_sql("UPDATE hocket_offsets SET token = 'another'")
    await _say(tower, 3)
    await asyncio.sleep(30)
    assert await booked(worker) == []
    assert told == [("another reader has taken over", "log")]
    await _say(tower, 3)
    await asyncio.sleep(30)
    assert len(told) == 1  # it reads no more
    assert world.attempts == []
    assert worker.live
    [reason] = worker.health()
    assert "another process reads hocket.log as watcher" in reason


async def _refusing(batch: object, tx: object) -> None:
    raise ValueError


async def test_a_reader_that_fails_makes_the_service_not_ready(tower: Processes) -> None:
    """RULES 7.1: while a batch is tried again and again, readiness names the stream and the error; then it is ready."""
    worker = await tower.start(watcher.using(World()))
    await tower.quiet()
    assert worker.health() == []
    call, worker.readers[0].call = worker.readers[0].call, _refusing
    await _say(tower, 1)
    await asyncio.sleep(30)
    assert worker.health() == ["the reader of hocket.log fails and tries again: ValueError"]
    worker.readers[0].call = call
    await asyncio.sleep(30)
    assert worker.health() == []


async def test_the_offset_moves_with_what_was_folded_or_not_at_all(tower: Processes) -> None:
    """RULES 7.1: killed within the transaction, neither stands; the next one folds the batch, once."""
    gate = asyncio.Event()

    async def hang(raw: Any, tx: Tx[World]) -> None:
        if raw.offset == 4:
            await (await tx.db()).execute(insert(tolled).values(name="half"))
            gate.set()
            await asyncio.sleep(3600)

    worker = await tower.start(watcher.using(World()))
    await _say(tower, 3)
    await tower.quiet()
    await tower.stop("watcher")
    await tower.start(watcher.using(World(behave=hang)))
    await _say(tower, 3)
    await gate.wait()
    await tower.kill("watcher")
    worker = await tower.start(watcher.using(World()))
    await tower.quiet()
    assert await booked(worker) == [str(offset) for offset in range(6)]
    async with worker.runtime.store.transaction() as tx:
        assert (await tx.offset("watcher.log")).next == 6
