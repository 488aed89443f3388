"""RULES 15.4 through whole services: a handler waits for its predecessor, within a bound."""

from datetime import timedelta

from hocket import Tx
from tests.hocket.delivery.staleness.shelf import WITHIN, Bought, Keeper, Packed, shelf
from tests.hocket.sample_services import LONG, Ill, Processes, until

SECOND = timedelta(seconds=1)


def words(tower: Processes, handler: str) -> list[str]:
    """How the attempts of this handler ended."""
    return [each["outcome"] for each in tower.receipts() if each["subscription"] == f"shelf.{handler}"]


async def test_it_runs_as_soon_as_its_predecessor_was_handled(tower: Processes) -> None:
    """RULES 15.4: it waits without an attempt, is sent by the predecessor's commit, and waits no more afterwards."""
    await tower.start(shelf.using(world := Keeper()))
    await tower.hear(Packed(), "early")
    await tower.advance(10 * SECOND)
    assert (world.ran, words(tower, "send")) == ([], ["deferred"])
    await tower.hear(Bought(), "bought")
    await tower.quiet()
    assert (world.ran, words(tower, "send")) == (["reserve", "send"], ["deferred", "handled"])
    await tower.hear(Packed(), "late")
    await tower.quiet()
    assert words(tower, "send") == ["deferred", "handled", "handled"]
    assert {each["attempt"] for each in tower.receipts()} == {1}
    await tower.advance(LONG)
    assert len(world.ran) == 3


async def test_all_who_wait_are_sent_and_nobody_of_another_subject(tower: Processes) -> None:
    """RULES 15.4: one mark a subject."""
    await tower.start(shelf.using(world := Keeper()))
    for key in ("a", "b", "c"):
        await tower.hear(Packed(name=key), key)
    await tower.hear(Packed(name="other"), "d", subject="bell/b")
    await tower.quiet()
    await tower.hear(Bought(), "bought")
    await tower.quiet()
    assert world.ran == ["reserve", "send", "send", "send"]


async def test_at_the_bound_it_runs_all_the_same(tower: Processes) -> None:
    """RULES 15.4: a mark may be missing for ever; it waits once, also where it fails afterwards."""

    async def twice(event: object, tx: Tx[Keeper]) -> None:
        if tx.attempt < 3:
            raise Ill

    await tower.start(shelf.using(world := Keeper(twice)))
    await tower.hear(Packed(), "early")
    await tower.advance(WITHIN - 2 * SECOND)
    assert world.ran == []
    await tower.advance(10 * SECOND)
    assert words(tower, "send") == ["deferred", "retry", "retry", "handled"]


async def test_a_predecessor_that_fails_has_not_been_handled(tower: Processes) -> None:
    """RULES 15.4: only what is handled marks; a failed attempt sends nobody."""

    async def fail(event: object, tx: Tx[Keeper]) -> None:
        if isinstance(event, Bought) and tx.attempt < 3:
            raise Ill

    await tower.start(shelf.using(world := Keeper(fail)))
    await tower.hear(Packed(), "early")
    await tower.hear(Bought(), "bought")
    await tower.advance(WITHIN / 2)
    assert world.ran == ["reserve", "reserve", "reserve", "send"]


async def test_a_crash_between_loses_no_wake_up(tower: Processes) -> None:
    """RULES 15.4: what waits stands in the database, and so does what was handed over and not yet published."""
    await tower.start(shelf.using(world := Keeper()))
    await tower.hear(Packed(), "early")
    await tower.quiet()
    await tower.kill("shelf")
    await tower.start(shelf.using(world))
    await tower.hear(Bought(), "bought")
    await until(lambda: "reserve" in world.ran)
    await tower.kill("shelf")
    await tower.start(shelf.using(world))
    await tower.advance(WITHIN / 4)
    assert world.ran.count("send") == 1


async def test_the_original_again_is_one_track(tower: Processes) -> None:
    """RULES 15.4, 3.5: a copy of what waits waits too; whichever is sent first is handled, the other was seen."""
    await tower.start(shelf.using(world := Keeper()))
    await tower.hear(Packed(), "early")
    await tower.quiet()
    await tower.hear(Packed(), "early")
    await tower.quiet()
    await tower.hear(Bought(), "bought")
    await tower.advance(LONG)
    assert world.ran == ["reserve", "send"]
    assert sorted(words(tower, "send")) == ["deferred", "deferred", "duplicate", "handled"]


async def test_what_has_no_subject_does_not_wait(tower: Processes) -> None:
    """RULES 15.4: there is nothing by which its predecessor could be found."""
    await tower.start(shelf.using(world := Keeper()))
    await tower.hear(Packed(), "a", subject="shop.packed/a")
    await tower.quiet()
    assert world.ran == ["send"]
