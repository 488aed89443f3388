"""RULES 5 through whole services: steps, failures, undos."""

import asyncio
from typing import Any

import pytest

from hocket import Heard, Tx
from tests.hocket.sample_services import (
    LONG,
    Processes,
    Rung,
    Shut,
    Tolled,
    World,
    book,
    booked,
    fail,
    message_of,
    steps,
)

RUNG = Rung(name="a")
SHUT = Shut(name="a")


class Undo(Heard, type="undo.ordered"):
    run: str
    n: int


OTHER = "0198c5b8-0000-7000-8000-000000000002"


async def do(rung: Rung, tx: Tx[World]) -> Tolled:
    """Do the step."""
    return Tolled(name=rung.name)


async def decline(rung: Rung, tx: Tx[World]) -> None:
    """Leave nothing to undo."""


def said(tower: Processes, type_: str) -> list[str]:
    """Names in the events of this type."""
    return [str(each.data["name"]) for each in tower.log() if each.type == type_]


def ledger(tower: Processes) -> list[str]:
    """The states the step's row was left in."""
    return [each["ledger"] for each in tower.receipts() if each["ledger"]]


async def test_a_failure_that_comes_first_refuses_the_step(tower: Processes) -> None:
    """RULES 5.3: no row: a tombstone; what meets it is refused, and its handler never runs."""
    world = World(behave=do)
    await tower.start(steps.using(world))
    await tower.hear(SHUT, "s")
    await tower.quiet()
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert ledger(tower) == ["tombstone", "refused"]
    assert world.attempts == []
    assert world.undone == []


async def test_a_failure_while_the_step_works_is_marked_and_undone_at_its_end(tower: Processes) -> None:
    """RULES 5.3: `begun`: marked; the end of the run writes the undo in its own `Tx`."""
    world = World()
    await tower.start(steps.using(world))

    async def slow(rung: Rung, tx: Tx[World]) -> Tolled:
        await tower.hear(SHUT, "s")
        await asyncio.sleep(5)
        assert world.undone == []
        return Tolled(name=rung.name)

    world.behave = slow
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert ledger(tower) == ["begun", "undoing", "undone"]
    assert [(name, did, why) for name, did, why, _ in world.undone] == [("a", True, "Shut")]
    assert said(tower, "bell.hushed") == ["a"]


async def test_done_is_undone_with_its_result_and_void_is_not(tower: Processes) -> None:
    """RULES 5.2, 5.3: the undo runs for done; a run that returned nothing to undo is `void`."""
    world = World(behave=do)
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    world.behave = decline
    await tower.hear(Rung(name="b"), "k2", correlation_id=OTHER)
    await tower.quiet()
    await tower.hear(SHUT, "s")
    await tower.hear(Shut(name="b"), "s2", correlation_id=OTHER)
    await tower.advance(LONG)
    assert ledger(tower)[:2] == ["done", "void"]
    assert [(name, did) for name, did, _, _ in world.undone] == [("a", True)]


async def test_two_failures_make_one_undo(tower: Processes) -> None:
    """RULES 5.4: two failure events, at once or later, order one undo under one key."""
    world = World(behave=do)
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    for key in ("s1", "s2"):
        await tower.hear(SHUT, key)
    await tower.quiet()
    await tower.hear(SHUT, "s3")
    await tower.advance(LONG)
    assert len(world.undone) == 1
    assert said(tower, "bell.hushed") == ["a"]


async def test_a_failure_touches_its_own_scope_only(tower: Processes) -> None:
    """RULES 5.1: another bell of the same flow rings on."""
    world = World(behave=do)
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.hear(Rung(name="b"), "k2")
    await tower.quiet()
    await tower.hear(Shut(name="b"), "s")
    await tower.advance(LONG)
    assert [name for name, *_ in world.undone] == ["b"]


async def test_on_dead_speaks_and_writes_its_own_undo(tower: Processes) -> None:
    """RULES 5.5, 8.3: said in the burial's `Tx`, with the undo for None; nothing a dying handler returned was said."""
    world = World(behave=fail)
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert said(tower, "bell.cracked") == ["a"]
    assert said(tower, "bell.tolled") == []
    assert [(name, did, why) for name, did, why, _ in world.undone] == [("a", False, "Cracked")]
    assert ledger(tower)[-1] == "undone"
    [letter] = tower.letters()
    assert letter.headers["hocket-death-spoke"] == 1


async def test_what_on_dead_says_is_never_bound(tower: Processes) -> None:
    """RULES 5.5: the queue of the undo hears the failures of others only."""
    worker = await tower.start(steps.using(World()))
    assert [name for name, _ in worker.runners["steps.hush"].subscription.bound] == ["tower.shut"]


async def test_an_on_dead_that_raises_leaves_the_burial(tower: Processes) -> None:
    """RULES 5.5: the burial stands and the letter says so; the row is unsure until a failure comes."""
    world = World(behave=fail)
    await tower.start(steps.using(world))
    await tower.hear(Rung(name="mute"), "k")
    await tower.advance(LONG)
    [letter] = tower.letters()
    assert "its on_dead raised RuntimeError: no last word" in str(letter.headers["hocket-death-error"])
    assert letter.headers["hocket-death-spoke"] == 0
    assert ledger(tower)[-1] == "unsure"
    await tower.hear(Shut(name="mute"), "s")
    await tower.advance(LONG)
    assert [(name, did) for name, did, *_ in world.undone] == [("mute", False)]


@pytest.mark.parametrize("name", ["a", "mute"])
async def test_replaying_what_has_spoken_or_is_undone_is_obsolete(tower: Processes, name: str) -> None:
    """RULES 5.5, 5.6, 8.4: neither begins again; the receipt names the letter."""
    world = World(behave=fail)
    worker = await tower.start(steps.using(world))
    await tower.hear(Rung(name=name), "k")
    await tower.advance(LONG)
    if name == "mute":
        await tower.hear(Shut(name=name), "s")
        await tower.advance(LONG)
    [letter] = tower.letters()
    world.behave = do
    await worker.send("steps.toll", letter.body, letter.content_type, replay="r1", attempt=6)
    await tower.advance(LONG)
    last = tower.receipts()[-1]
    assert (last["outcome"], last["replay"], last["death"]) == ("obsolete", "r1", letter.headers["hocket-death-id"])
    assert len(world.attempts) == 5
    assert len(tower.letters()) == 1


async def test_an_undo_that_dies_is_a_zombie_until_its_letter_is_replayed(tower: Processes) -> None:
    """RULES 5.4: it leaves `undoing`; the replay of its letter undoes under the same key."""
    world = World(behave=do, undo=fail)
    worker = await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    await tower.hear(SHUT, "s")
    await tower.advance(LONG)
    assert ledger(tower)[-1] == "undoing"
    [letter] = tower.letters()
    assert letter.routing_key == "steps.hush"
    world.undo = decline
    await worker.send("steps.hush", letter.body, letter.content_type, replay="r", attempt=6)
    await tower.advance(LONG)
    assert ledger(tower)[-1] == "undone"
    assert len({key for *_, key in world.undone}) == 1
    await worker.send("steps.hush", letter.body, letter.content_type, replay="r2", attempt=7)
    await tower.advance(LONG)
    assert said(tower, "bell.hushed") == ["a"]


async def test_a_second_input_of_one_scope_is_a_conflict(tower: Processes) -> None:
    """RULES 5.1: one run for a scope in a flow; the second is buried and touches neither ledger nor `on_dead`."""
    world = World(behave=do)
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    await tower.hear(RUNG, "another")
    await tower.advance(LONG)
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "conflict"
    assert said(tower, "bell.cracked") == []
    assert world.attempts == [1]
    await tower.hear(SHUT, "s")
    await tower.advance(LONG)
    assert [(name, did) for name, did, *_ in world.undone] == [("a", True)]


async def test_a_copy_of_a_run_at_work_waits_for_its_end(tower: Processes) -> None:
    """RULES 5.2: a second copy runs nothing while the first works; after that it is seen."""
    world = World()
    await tower.start(steps.using(world))

    async def slow(rung: Rung, tx: Tx[World]) -> Tolled:
        await asyncio.sleep(30)
        return Tolled(name=rung.name)

    world.behave = slow
    await tower.hear(RUNG, "k")
    await asyncio.sleep(1)
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert world.attempts == [1]
    assert [each["outcome"] for each in tower.receipts()] == ["handled", "duplicate"]


async def test_a_killed_step_is_taken_over_by_the_next_boot(tower: Processes) -> None:
    """RULES 5.2, 4.1: without its process a `begun` is anybody's; the outside gets the same key."""
    world = World()

    async def hang(rung: Rung, tx: Tx[World]) -> None:
        await asyncio.sleep(3600)

    world.behave = hang
    await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await asyncio.sleep(1)
    await tower.kill("steps")
    world.behave = do
    await tower.start(steps.using(world))
    await tower.quiet()
    assert world.attempts == [1, 1]
    assert len(set(world.keys)) == 1
    assert said(tower, "bell.tolled") == ["a"]


@pytest.mark.parametrize("own", [True, False])
async def test_a_run_that_was_taken_over_writes_and_says_nothing(tower: Processes, own: bool) -> None:
    """RULES 3.1: the ledger decides: only the run that `begun` names wins, in a transaction of its own or not."""
    world = World()
    worker = await tower.start(steps.using(world))

    async def give(owner: str) -> None:
        async with worker.runtime.store.transaction() as tx:
            db: Any = await tx.db()
            taken = f"UPDATE hocket_ledger SET owner = '{owner}', version = version + 1"  # noqa: S608 -- a test's own name
            await db.exec_driver_sql(taken)

    async def late(rung: Rung, tx: Tx[World]) -> Tolled:
        if len(world.attempts) == 1:
            await give("another")
        if own:
            await book(rung, tx)
        return Tolled(name=rung.name)

    world.behave = late
    await tower.hear(RUNG, "k")
    await asyncio.sleep(5)
    assert world.attempts == [1]
    assert said(tower, "bell.tolled") == []
    assert await booked(worker) == []
    await give("")
    await tower.advance(LONG)
    assert world.attempts == [1, 1]
    assert said(tower, "bell.tolled") == ["a"]
    assert await booked(worker) == (["a"] if own else [])


@pytest.mark.parametrize("own", [True, False])
async def test_a_late_run_of_a_step_that_was_emptied_is_a_letter(tower: Processes, own: bool) -> None:
    """RULES 5.4: its effect came after the undo, and the ledger has forgotten why there was one: somebody's work."""
    world = World()
    worker = await tower.start(steps.using(world))

    async def late(rung: Rung, tx: Tx[World]) -> Tolled:
        async with worker.runtime.store.transaction() as other:
            undone = "UPDATE hocket_ledger SET state = 'undone', owner = '', generation = 1, version = version + 1"
            await (await other.db()).exec_driver_sql(undone)
        if own:
            await book(rung, tx)
        return Tolled(name=rung.name)

    world.behave = late
    await tower.hear(RUNG, "k")
    await asyncio.sleep(5)
    assert said(tower, "bell.tolled") == []
    assert await booked(worker) == []
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "ledger"


async def test_an_order_to_undo_that_cannot_be_read_harms_no_neighbour(tower: Processes) -> None:
    """What an older version left in ledger or queue is a dead letter; the service goes on."""
    world = World(behave=do)
    worker = await tower.start(steps.using(world))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    run = tower.receipts()[-1]["run"]
    async with worker.runtime.store.transaction() as tx:
        db: Any = await tx.db()
        await db.exec_driver_sql("UPDATE hocket_ledger SET state = 'undoing', generation = 1")
    undo = Undo(run=run, n=1)
    message = message_of(undo, "u1", tower.clock, type="hocket.undo", source="/steps")
    odd = message_of(undo, "u2", tower.clock, type="hocket.undo", source="/steps", data={"run": 3})
    await tower.post.publish([each._replace(exchange="steps", routing_key="steps.hush") for each in (message, odd)])
    await tower.advance(LONG)
    assert worker.live
    assert sorted(str(each.headers["hocket-death-cause"]) for each in tower.letters()) == ["invalid", "undecodable"]
    await tower.hear(Rung(name="b"), "k2")
    await tower.quiet()
    assert said(tower, "bell.tolled") == ["a", "b"]
