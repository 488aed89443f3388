"""Readers of streams: the offset is stored in the transaction of what was folded."""

import asyncio
import contextvars
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from hocket import Tx
from hocket.config import Config
from hocket.errors import StoreError
from hocket.observe import Observer, Raw
from hocket.store.sqlite.transaction import SqliteTx
from hocket.streams.reader import BEAT_SECONDS, GONE_SECONDS, START_SECONDS
from tests.hocket.outbox.test_outside_transactions import FILES
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


async def test_a_refused_commit_is_the_readers_own(tower: Processes) -> None:
    """RULES 3.2: what only its commit refuses is its own error; the batch is read again, the service stays ready."""
    failures = ["once", "twice"]

    async def orphan(raw: Any, tx: Tx[World]) -> None:
        db = await tx.db()
        await db.execute(text("CREATE TABLE IF NOT EXISTS folders (id INTEGER PRIMARY KEY)"))
        await db.execute(text(FILES.replace("TABLE", "TABLE IF NOT EXISTS")))
        if failures:
            failures.pop()
            await db.execute(text("INSERT INTO files VALUES (1)"))

    worker = await tower.start(watcher.using(World(behave=orphan)))
    await _say(tower, 1)
    await tower.quiet()
    assert not failures
    assert worker.health() == []
    assert await booked(worker) == ["0"]


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


def _told(worker: Any) -> list[str]:
    told: list[str] = []
    worker.runtime.signals.trouble = lambda service, what, **facts: told.append(what)
    return told


async def _stands(worker: Any, assignment: str) -> None:
    async with worker.runtime.store.transaction() as tx:
        db: Any = await tx.db()
        await db.exec_driver_sql(f"UPDATE hocket_offsets SET {assignment} WHERE reader = 'watcher.log'")  # noqa: S608


async def test_of_two_readers_one_stops(tower: Processes) -> None:
    """RULES 7.1: the token of the newer fences the older, which says so and waits while the newer lives."""
    world = World()
    worker = await tower.start(watcher.using(world))
    await tower.quiet()
    told = _told(worker)
    await _say(tower, 3)
    await tower.quiet()
    for beat in range(12):
        await _stands(worker, f"token = 'another/{beat}/'")
        await _say(tower, 1)
        await asyncio.sleep(10)
    assert await booked(worker) == ["0", "1", "2"]
    assert told == ["another reader has taken over"]
    assert "another process reads hocket.log" in worker.readers[0].reason
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


async def test_a_reader_takes_its_place_back_when_the_other_is_gone(tower: Processes) -> None:
    """RULES 7.1: two tracers, then one: it reads, and nothing is left out or read twice."""
    worker = await tower.start(watcher.using(World()))
    await tower.quiet()
    told = _told(worker)
    await _stands(worker, "token = 'another/1/'")
    await _say(tower, 3)
    await asyncio.sleep(GONE_SECONDS + 3 * BEAT_SECONDS)
    assert told == ["another reader has taken over", "the other reader is gone: reading goes on"]
    assert await booked(worker) == ["0", "1", "2"]
    assert worker.readers[0].reason == ""


async def test_a_reader_that_has_nothing_to_read_shows_that_it_lives(tower: Processes) -> None:
    """RULES 7.1: its place changes at least every `BEAT_SECONDS`, so that nobody takes it."""
    worker = await tower.start(watcher.using(World()))
    await tower.quiet()
    seen = set()
    for _ in range(4):
        await asyncio.sleep(BEAT_SECONDS + 1)
        async with worker.runtime.store.transaction() as tx:
            seen.add((await tx.offset("watcher.log")).token)
    assert len(seen) == 4


async def test_a_cut_is_said_and_counted(tower: Processes) -> None:
    """RULES 7.2: what retention removed before it was read is counted; the rest is read."""
    await tower.start(watcher.using(World()))
    await _say(tower, 5)
    await tower.quiet()
    await tower.kill("watcher")
    await _say(tower, 10)
    tower.broker.truncate("hocket.log", 9)
    worker = await tower.start(watcher.using(World()))
    told = _told(worker)
    await tower.quiet()
    await asyncio.sleep(1)
    assert told == ["a stream was cut before it was read: messages are missing"]
    assert worker.readers[0].missed == 4
    assert await booked(worker) == [str(offset) for offset in (*range(5), *range(9, 15))]


async def test_a_cut_under_a_reader_that_lags_is_said(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 7.2: also where nothing was opened anew; the broker goes on behind the cut without a word."""
    monkeypatch.setattr("hocket.streams.reader.PREFETCH", 2)
    gate = asyncio.Event()

    async def hang(raw: Any, tx: Tx[World]) -> None:
        await gate.wait()

    worker = await tower.start(watcher.using(World(behave=hang)))
    told = _told(worker)
    await _say(tower, 10)
    await asyncio.sleep(1)
    tower.broker.truncate("hocket.log", 6)
    gate.set()
    await tower.quiet()
    assert told == ["a stream was cut before it was read: messages are missing"]
    assert worker.readers[0].missed == 6 - 2
    assert await booked(worker) == [str(offset) for offset in (0, 1, *range(6, 10))]


@pytest.mark.parametrize(("assignment", "what"), [("next = 100", "shorter"), ("token = 'old/1/0000'", "grown")])
async def test_a_stream_that_was_made_anew_is_read_from_its_start(tower: Processes, assignment: str, what: str) -> None:
    """RULES 7.3: a place beyond the end, or another message where it stood: begin at the start, and say so."""
    worker = await tower.start(watcher.using(World()))
    await _say(tower, 5)
    await tower.quiet()
    await _stands(worker, assignment)
    await tower.kill("watcher")
    worker = await tower.start(watcher.using(World()))
    told = _told(worker)
    await asyncio.sleep(3 * START_SECONDS)
    assert told == ["a stream was made anew: it is read from its start"], what
    assert (await booked(worker))[5:] == ["0", "1", "2", "3", "4"]


async def test_large_messages_are_held_by_bytes(tower: Processes) -> None:
    """Where bodies are large fewer are held at once: the rest waits at the broker."""
    gate = asyncio.Event()

    async def hang(raw: Any, tx: Tx[World]) -> None:
        await gate.wait()

    world = World()
    worker = await tower.start(watcher.using(world), Config.model_construct(intake_bytes=64 * 1024))
    reader = worker.readers[0]
    await _say(tower, 400)
    await tower.quiet()
    world.behave = hang
    await _say(tower, 400)
    await asyncio.sleep(1)
    assert reader.held < 300
    gate.set()
    await tower.quiet()
    assert len(await booked(worker)) == 800


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


@pytest.mark.parametrize("what", ["mark", "stray", "exit"])
async def test_a_reader_runs_apart(tower: Processes, what: str) -> None:
    """RULES 3.6: a reader's call has a task and a context of its own, and cannot end the process."""
    shade: contextvars.ContextVar[str] = contextvars.ContextVar("shade", default="none")
    seen: list[str] = []

    async def harm(raw: Any, tx: Tx[World]) -> None:
        seen.append(shade.get())
        if what == "mark":
            shade.set("left")
        elif what == "exit" and len(seen) == 1:
            sys.exit(0)
        elif what == "stray":
            task = asyncio.current_task()
            assert task is not None
            asyncio.get_running_loop().call_later(1, task.cancel)

    worker = await tower.start(watcher.using(World(behave=harm)))
    for _ in range(3):
        await _say(tower, 1)
        await tower.advance(timedelta(seconds=5))
    assert worker.live
    assert await booked(worker) == ["0", "1", "2"]
    assert set(seen) == {"none"}
