"""RULES 15.1 to 15.3 through whole services: an event that is older than what was handled ends stale."""

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from hocket import Tx
from hocket.errors import StoreError
from hocket.telemetry.signals import Listener, Signals
from tests.hocket.delivery.staleness.shelf import Keeper, Moved, Priced, notes, shelf
from tests.hocket.sample_services import LONG, Ill, Processes, until

SECOND = timedelta(seconds=1)
#: The subject that an event gets which comes without one.
NONE = "shop.priced/{}"


class Ear(Listener):
    """Hears what is counted."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        self.heard.append(what)


def words(tower: Processes, key: str) -> list[str]:
    """How the attempts of this event ended."""
    return [each["outcome"] for each in tower.receipts() if each["event"] and each["event"]["id"] == key]


@pytest.mark.parametrize("own", [False, True])
async def test_an_older_value_ends_stale(tower: Processes, own: bool) -> None:
    """RULES 15.1: it does not run and says nothing; what is equal runs, in order of arrival; final for its copies."""
    world = Keeper()
    worker = await tower.start(shelf.using(world))
    for key, version in (("a", 5), ("b", 3), ("c", 5), ("d", 6), ("e", 5)):
        await tower.hear(Priced(version=version, own=own), key)
        await tower.quiet()
    assert world.ran == ["price 5", "price 5", "price 6"]
    assert (words(tower, "b"), words(tower, "e")) == (["stale"], ["stale"])
    assert len(tower.log()) == 5 + 3
    await tower.hear(Priced(version=3, own=own), "b")
    await tower.quiet()
    assert words(tower, "b") == ["stale", "duplicate"]
    assert tower.receipts()[-1]["first"] == "stale"
    assert await notes(worker) == (["price 5", "price 5", "price 6"] if own else [])


async def test_subjects_and_events_without_one_do_not_meet(tower: Processes) -> None:
    """RULES 15.1: only values of one subject are compared; what has none is about nothing that another is about."""
    world = Keeper()
    await tower.start(shelf.using(world))
    for key, version, subject in (("a", 5, "x"), ("b", 3, "y"), ("c", 5, NONE.format("c")), ("d", 3, NONE.format("d"))):
        await tower.hear(Priced(version=version), key, subject=subject)
        await tower.quiet()
    assert world.ran == ["price 5", "price 3", "price 5", "price 3"]


@pytest.mark.parametrize("own", [False, True])
async def test_whoever_loses_at_the_commit_is_rolled_back(tower: Processes, own: bool) -> None:
    """RULES 15.1: both were admitted; the newer one commits first, and nothing of the older one stays."""
    newer = asyncio.Event()

    async def wait(event: Priced, tx: Tx[Keeper]) -> None:
        if event.version == 1:
            await newer.wait()

    world = Keeper(wait)
    worker = await tower.start(shelf.using(world))
    await tower.hear(Priced(version=1, own=own), "old")
    await asyncio.sleep(1)
    await tower.hear(Priced(version=2, own=own), "new")
    await until(lambda: words(tower, "new") == ["handled"])
    newer.set()
    await tower.quiet()
    assert world.ran == ["price 1", "price 2"]
    assert words(tower, "old") == ["stale"]
    assert await notes(worker) == (["price 2"] if own else [])
    assert [each.data["what"] for each in tower.log() if each.type == "shelf.told"] == ["price 2"]


async def test_two_of_a_subject_that_end_together(tower: Processes) -> None:
    """RULES 15.1: in one group commit the second sees what the first leaves."""
    gate = asyncio.Event()

    async def wait(event: Priced, tx: Tx[Keeper]) -> None:
        await gate.wait()

    world = Keeper(wait)
    await tower.start(shelf.using(world))
    for version in (4, 2, 3):
        await tower.hear(Priced(version=version), f"v{version}")
    await asyncio.sleep(1)
    gate.set()
    await tower.quiet()
    assert sorted(world.ran) == ["price 2", "price 3", "price 4"]
    assert [words(tower, f"v{version}")[-1] for version in (4, 2, 3)] == ["handled", "stale", "stale"]


async def test_a_retry_is_judged_like_a_first_arrival(tower: Processes) -> None:
    """RULES 15.2: what failed and is tried again after a newer one was handled ends stale."""

    async def once(event: Priced, tx: Tx[Keeper]) -> None:
        if event.version == 1:
            raise Ill

    world = Keeper(once)
    await tower.start(shelf.using(world))
    await tower.hear(Priced(version=1), "old")
    await asyncio.sleep(0.1)
    await tower.hear(Priced(version=2), "new")
    await tower.advance(LONG)
    assert words(tower, "old") == ["retry", "stale"]
    assert tower.letters() == []


async def test_a_replay_that_is_stale_settles_its_letter(tower: Processes) -> None:
    """RULES 15.2, 8.2: the receipt names the letter; a dead event has raised nothing."""

    async def fail(event: Priced, tx: Tx[Keeper]) -> None:
        if event.version in {1, 9}:
            raise Ill

    worker = await tower.start(shelf.using(Keeper(fail)))
    await tower.hear(Priced(version=1), "old")
    await tower.hear(Priced(version=9), "dead", subject="bell/b")
    await tower.advance(LONG)
    await tower.hear(Priced(version=2), "new")
    await tower.hear(Priced(version=8), "lower", subject="bell/b")
    await tower.quiet()
    assert words(tower, "lower") == ["handled"]
    [letter] = [each for each in tower.letters() if b'"old"' in each.body]
    await worker.send("shelf.price", letter.body, letter.content_type, replay="r1", attempt=6)
    await tower.quiet()
    assert words(tower, "old")[-2:] == ["dead", "stale"]
    assert tower.receipts()[-1]["death"] == letter.headers["hocket-death-id"]
    assert tower.receipts()[-1]["replay"] == "r1"


async def test_a_commit_of_unknown_outcome_is_not_stale_against_itself(tower: Processes) -> None:
    """RULES 15.2, 3.2: the row may have been raised by this very delivery, which is then looked up and was handled."""
    worker = await tower.start(shelf.using(world := Keeper()))
    store: Any = worker.runtime.store
    commit = store.commit
    failed: list[int] = []

    async def committed_and_unknown(endings: Any) -> Any:
        written = await commit(endings)
        if any(each.latest for each in endings) and not failed:
            failed.append(1)
            raise StoreError("the answer was lost")
        return written

    store.commit = committed_and_unknown
    await tower.hear(Priced(version=5), "a")
    await tower.advance(LONG)
    await tower.kill("shelf")
    await tower.start(shelf.using(world))
    await tower.hear(Priced(version=5), "a")
    await tower.advance(LONG)
    assert failed == [1]
    assert world.ran == ["price 5"]
    assert set(words(tower, "a")) <= {"handled", "duplicate"}
    assert words(tower, "a").count("handled") == 1


async def test_moments_compare_by_the_instant(tower: Processes) -> None:
    """RULES 15.1: whatever the zone in which they are written."""
    await tower.start(shelf.using(world := Keeper()))
    noon = datetime(2025, 6, 1, 12, tzinfo=UTC)
    east = timezone(timedelta(hours=9))
    for key, at in (("a", noon), ("b", datetime(2025, 6, 1, 20, tzinfo=east)), ("c", noon.astimezone(east))):
        await tower.hear(Moved(name=key, at=at), key)
        await tower.quiet()
    assert world.ran == ["place a", "place c"]


async def test_a_value_of_the_future_silences_nobody(tower: Processes) -> None:
    """RULES 15.2: more than five minutes ahead it runs, is counted and is kept out of the row; less ahead it counts."""
    tower.signals = Signals([ear := Ear()])
    await tower.start(shelf.using(world := Keeper()))
    now = tower.clock.now()
    for key, ahead in (("a", 301), ("b", 0), ("c", 299), ("d", 100), ("e", 400)):
        await tower.hear(Moved(name=key, at=now + ahead * SECOND), key)
        await tower.quiet()
    assert world.ran == ["place a", "place b", "place c", "place e"]
    assert words(tower, "d") == ["stale"]
    assert ear.heard == ["a value lies in the future, and counts for no other event of its subject"] * 2


async def test_after_a_crash_the_rows_are_there(tower: Processes) -> None:
    """RULES 15.1: what a process committed before it died counts for the next one."""
    await tower.start(shelf.using(world := Keeper()))
    await tower.hear(Priced(version=5), "a")
    await tower.quiet()
    await tower.kill("shelf")
    await tower.start(shelf.using(world))
    await tower.hear(Priced(version=4), "b")
    await tower.quiet()
    assert world.ran == ["price 5"]
    assert words(tower, "b") == ["stale"]
