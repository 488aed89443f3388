"""A backfill whose process dies at any step goes on where it was (RULES 7.5)."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from hocket.broker.topology import HEARD, LOG, MARKER, Binding
from hocket.config import Config
from hocket.delivery.runner import SubscriptionRunner
from hocket.streams.backfill import reading
from hocket.streams.backfill.filler import Filler
from hocket.streams.backfill.marker import mark_log
from hocket.streams.backfill.reading import Reading
from hocket.streams.backfill.rows import BackfillRows
from hocket.streams.backfill.state import Phase
from hocket.worker.topology import TopologyDeclaration
from tests.hocket.annals import QUEUE, Book, annals, row_of, say, written
from tests.hocket.sample_services import Processes, until

#: Where the process dies: before or after each step of a backfill that it has to take.
STEPS: dict[str, tuple[Any, str]] = {
    "the row is noted": (BackfillRows, "note"),
    "the queue is bound": (TopologyDeclaration, "start"),
    "the row is taken": (Filler, "_taken"),
    "the log is marked": (Reading, "_mark"),
    "the place is written": (BackfillRows, "write"),
    "the marker is folded": (Reading, "_cut_over"),
    "the queue is consumed": (SubscriptionRunner, "consume"),
}


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_crash_at_any_step_loses_and_doubles_nothing(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, step: str, moment: str
) -> None:
    """RULES 7.5: whatever step the process dies at, each event has its effect once, in its order."""
    owner, name = STEPS[step]
    work: Callable[..., Any] = getattr(owner, name)
    died = asyncio.Event()

    async def dies(*given: Any, **named: Any) -> Any:
        if died.is_set():
            return await work(*given, **named)
        if moment == "after":
            await work(*given, **named)
        died.set()
        return await asyncio.Event().wait()

    monkeypatch.setattr(owner, name, dies)
    book = Book()
    await say(tower, "a", "b", "c")
    await tower.start(annals(book))
    await asyncio.wait_for(died.wait(), 300)
    await say(tower, "d")
    await tower.kill("annals")
    await say(tower, "e")
    worker = await tower.start(annals(book))
    await tower.quiet()
    await say(tower, "f")
    await tower.quiet()
    assert (await row_of(worker)).phase is Phase.LIVE
    assert await written(worker) == ["a", "b", "c", "d", "e", "f"]


async def test_it_goes_on_where_it_stood(tower: Processes) -> None:
    """RULES 7.5 c: what the row covers is not read again."""
    book = Book()
    await say(tower, *"abcdef")
    worker = await tower.start(annals(book))
    await until(lambda: len(book.heard) == 6)
    await asyncio.sleep(2)
    assert (await row_of(worker)).next == 6
    await tower.kill("annals")
    await say(tower, "g")
    await tower.start(annals(book))
    await tower.quiet()
    assert book.names == [*"abcdefg"]
    seen = [each for each in tower.receipts() if each["event"]["id"] == "key of a"] if tower.receipts() else []
    assert len(seen) <= 1


async def test_an_event_that_kills_its_process_is_buried(tower: Processes) -> None:
    """RULES 7.5 c, 1.4: history that kills its process does not kill it for ever."""
    book = Book()
    stuck = asyncio.Event()

    async def kill(rung: Any, tx: Any) -> None:
        if rung.name == "b":
            stuck.set()
            await asyncio.Event().wait()

    book.before = kill
    await say(tower, "a", "b", "c")
    worker = await tower.start(annals(book))
    for _ in range(9):
        try:
            await asyncio.wait_for(stuck.wait(), 130)
        except TimeoutError:
            break
        stuck.clear()
        await tower.kill("annals")
        worker = await tower.start(annals(book))
    await tower.quiet()
    assert len(tower.letters()) == 1
    assert sorted(await written(worker)) == ["a", "c"]


async def test_a_lost_connection_is_no_gap(tower: Processes) -> None:
    """RULES 7.5 d: after a reconnect the log is compared, and read on from the row."""
    book = Book()
    await say(tower, "a", "b")
    worker = await tower.start(annals(book))
    await until(lambda: len(book.heard) == 2)
    tower.broker.cut("annals")
    await say(tower, "c")
    await tower.quiet()
    assert await written(worker) == ["a", "b", "c"]


async def test_a_marker_that_the_log_does_not_get_is_said_again(tower: Processes) -> None:
    """RULES 7.5 b: the service says what is missing on the broker, and goes on when it is there."""
    book = Book()
    worker = await tower.start(annals(book), Config.model_construct(topology_seconds=86400.0))
    await until(lambda: "annals.write" in tower.broker.names())
    await until(lambda: worker.backfills.fillers[QUEUE].row is not None)
    tower.broker.unbind(Binding("annals", LOG, MARKER))
    await until(lambda: any("did not reach hocket.log" in reason for reason in worker.health()))
    await say(tower, "a")
    await worker.log_check.declare()
    await tower.quiet()
    assert await written(worker) == ["a"]
    assert not worker.health()


async def test_a_marker_that_is_lost_is_said_again(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 7.5 b: any later marker of the same backfill will do."""
    lost: list[str] = []

    async def loses_the_first(runtime: Any, row: Any, transport: Any) -> None:
        if lost:
            await mark_log(runtime, row, transport)
        lost.append(row.id)

    monkeypatch.setattr(reading, "mark_log", loses_the_first)
    book = Book()
    await say(tower, "a")
    worker = await tower.start(annals(book))
    await tower.quiet()
    assert len(lost) == 2
    assert await written(worker) == ["a"]


async def test_a_late_publish_is_found_by_the_patrol(tower: Processes) -> None:
    """RULES 7.5 e: what reached the log behind the marker and no queue is handled from the log."""
    book = Book()
    worker = await tower.start(annals(book))
    await tower.quiet()
    [bound] = [each for each in worker.service.declarations.topology().bindings if each.source == HEARD]
    tower.broker.unbind(bound)
    await say(tower, "late")
    await asyncio.sleep(30)
    await tower.quiet()
    assert book.heard == [("late", False)]
