"""RULES 1.4 through whole services: a delivery that kills its process, and its neighbours."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

import hocket
from hocket import Event, Tx
from hocket.delivery.poison import ALONE, ALONE_FROM, STARTED, STARTS, SharedExclusiveLock, alone_of, ended, starts_of
from hocket.envelope.keys import inbox_key
from hocket.outcome import Attempt
from hocket.store.records import InboxRow, InboxState
from tests.hocket.sample_services import Echoed, Processes, Rung, Tolled, World, bells, steps, until

WAIT = timedelta(seconds=1)
#: Deaths until the poison is buried: one unmarked, those that make it a suspect, those alone.
KILLS = 1 + ALONE_FROM + STARTS


class Cell:
    """Handlers that never end for the poison, and the names that began."""

    def __init__(self, deadly: str = "poison") -> None:
        self.began: list[str] = []
        self.deadly = deadly
        self.world = World(behave=self.behave)

    async def behave(self, rung: Rung, tx: Tx[World]) -> Event:
        self.began.append(rung.name)
        if rung.name == self.deadly:
            await asyncio.sleep(50)
        return Tolled(name=rung.name) if tx.use is self.world and self.deadly == "step" else Echoed(name=rung.name)


async def crash(tower: Processes, service: str, cell: Cell, times: int) -> None:
    """Start the process so many times and kill it whenever the poison has begun."""
    for _ in range(times):
        before = cell.began.count(cell.deadly)
        await tower.start((bells if service == "bells" else steps).using(cell.world))
        await until(lambda before=before: cell.began.count(cell.deadly) > before)  # type: ignore[misc]  # bound early
        await tower.kill(service)


async def test_three_starts_alone_bury_what_kills_its_process(tower: Processes) -> None:
    """RULES 1.4: three starts alone without an end bury it, cause `crash`, with the starts in its history."""
    cell = Cell()
    await tower.start(bells.using(cell.world))
    await tower.quiet()
    await tower.kill("bells")
    await tower.hear(Rung(name="poison"), "k")
    await crash(tower, "bells", cell, KILLS)  # the first was not redelivered and is not marked
    await tower.start(bells.using(cell.world))
    await tower.quiet()
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "crash"
    assert cell.began == ["poison"] * KILLS
    worker = tower.workers["bells"]
    [row] = (await worker.runtime.store.inbox([_key(tower)])).values()
    assert (row.state, row.attempt) == (InboxState.DEAD, 1)
    assert [line.word for line in row.history] == [STARTED] * (ALONE_FROM + STARTS) + ["dead"]


async def test_innocent_neighbours_are_handled_and_not_counted(tower: Processes) -> None:
    """RULES 1.4: whoever began beside it runs alone after two starts, ends, and is handled once."""
    cell = Cell()
    await tower.start(bells.using(cell.world))
    await tower.quiet()
    await tower.kill("bells")
    slow = cell.behave

    async def slowly(rung: Rung, tx: Tx[World]) -> Event:
        if rung.name != "poison":
            cell.began.append(f"{rung.name} begins")
            await asyncio.sleep(1)
        return await slow(rung, tx)

    cell.world.behave = slowly
    for name in ("a", "poison", "b"):
        await tower.hear(Rung(name=name), name)
    await crash(tower, "bells", cell, KILLS)
    await tower.start(bells.using(cell.world))
    await tower.advance(WAIT)
    assert [letter.headers["hocket-death-cause"] for letter in tower.letters()] == ["crash"]
    assert {each.data["name"] for each in tower.log() if each.type == "bell.echoed"} == {"a", "b"}
    assert cell.began.count("a") == cell.began.count("b") == 1


async def test_a_step_that_kills_its_process_is_unsure_and_undone(tower: Processes) -> None:
    """RULES 1.4, 5.5: the burial of a run that began says on_dead's word and orders the undo."""
    cell = Cell("step")
    await tower.start(steps.using(cell.world))
    await tower.quiet()
    await tower.kill("steps")
    await tower.hear(Rung(name="step"), "k")
    await crash(tower, "steps", cell, KILLS)
    await tower.start(steps.using(cell.world))
    await tower.quiet()
    assert [each.type for each in tower.log() if each.source == "/steps"] == ["bell.cracked", "bell.hushed"]
    assert [(name, did, why) for name, did, why, _ in cell.world.undone] == [("step", False, "Cracked")]


async def test_a_stop_is_no_start_without_an_end(tower: Processes) -> None:
    """RULES 1.3, 1.4: what a stop gives back was not killed by it, however often it is stopped."""
    cell = Cell()
    await tower.start(bells.using(cell.world))
    await tower.quiet()
    await tower.hear(Rung(name="poison"), "k")
    for _ in range(2 * STARTS):
        before = cell.began.count("poison")
        await until(lambda before=before: cell.began.count("poison") > before - 1)  # type: ignore[misc]  # bound early
        await asyncio.sleep(1)
        await tower.workers.pop("bells").stop(seconds=1.0)
        await tower.start(bells.using(cell.world))
    cell.deadly = "nobody"
    await tower.advance(timedelta(minutes=2))
    assert not tower.letters()
    assert [each.type for each in tower.log() if each.source == "/bells"] == ["bell.echoed"]


async def test_what_was_redelivered_and_ends_leaves_no_start(tower: Processes) -> None:
    """RULES 1.4: the end of an attempt takes its starts away, and it costs no attempt."""
    cell = Cell()
    await tower.start(bells.using(cell.world))
    await tower.quiet()
    await tower.kill("bells")
    await tower.hear(Rung(name="poison"), "k")
    await crash(tower, "bells", cell, 2)
    cell.deadly = "nobody"
    worker = await tower.start(bells.using(cell.world))
    await tower.quiet()
    [row] = (await worker.runtime.store.inbox([_key(tower)])).values()
    assert (row.state, row.attempt) == (InboxState.HANDLED, 1)
    assert [line.word for line in row.history] == ["handled"]


def _key(tower: Processes) -> bytes:
    [rung] = [each for each in tower.log() if each.type == "bell.rung"]
    return inbox_key("bells.ring", rung.source, rung.type, rung.idempotency_key)


def test_only_starts_at_the_end_and_of_other_processes_count() -> None:
    """RULES 1.4: an attempt that ended since takes the earlier starts out of the count; this process lives."""
    lines = tuple(
        Attempt(1, "", "", word, error=boot)
        for word, boot in ((STARTED, "a"), ("retry", ""), (STARTED, "a"), (STARTED, "b"), (STARTED, "me"))
    )
    row = InboxRow(b"k", "bells.ring", "id", InboxState.RETRY, 1, history=lines)
    assert starts_of(row, "me") == 2
    assert alone_of(row, "me") == 0
    lone = row._replace(history=(*lines, Attempt(1, "", "", STARTED, ALONE, "c")))
    assert (starts_of(lone, "me"), alone_of(lone, "me")) == (3, 1)
    assert ended(lines) == lines[:2]
    assert starts_of(None, "me") == 0


def test_the_flag_decides_nothing_else() -> None:
    """RULES 1.3: whether a delivery came before is the broker's guess; one place decides by it, to mark a start.

    The receipt only tells it, and a batch leaves such a delivery to that place.
    """
    kit = Path(hocket.__file__).parent
    found = {
        path.relative_to(kit).as_posix(): path.read_text(encoding="utf-8").count(".redelivered")
        for path in kit.rglob("*.py")
        if not path.relative_to(kit).as_posix().startswith(("broker/", "testing/"))
    }
    assert {path: count for path, count in found.items() if count} == {
        "delivery/handle.py": 1,
        "delivery/ending/receipt.py": 1,
        "delivery/projecting/batch.py": 1,
    }


async def test_a_suspect_runs_alone() -> None:
    """RULES 1.4: it waits for those at work, and those behind it wait for it; a cancelled one lets them go."""
    solitude = SharedExclusiveLock()
    told: list[str] = []

    async def run(name: str, alone: bool) -> None:
        await solitude.enter(alone)
        told.append(f"{name} in")
        await asyncio.sleep(0)
        told.append(f"{name} out")
        solitude.leave(alone)

    await solitude.enter(False)
    suspect = asyncio.create_task(run("suspect", True))
    await asyncio.sleep(0)
    other = asyncio.create_task(run("other", False))
    await asyncio.sleep(0)
    assert not told
    solitude.leave(False)
    await asyncio.gather(suspect, other)
    assert told == ["suspect in", "suspect out", "other in", "other out"]
    await solitude.enter(False)
    cancelled = asyncio.create_task(run("cancelled", True))
    await asyncio.sleep(0)
    last = asyncio.create_task(run("last", False))
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cancelled
    await last
    assert told[-2:] == ["last in", "last out"]
