"""Station handle: whatever a team's code does, the delivery comes to an end and the service lives."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from hocket import Defer, Reject, Service, Tx
from hocket.envelope.keys import inbox_key
from hocket.errors import OutsideTooLate
from hocket.store.records import InboxState
from tests.hocket.sample_services import (
    LONG,
    Behave,
    Echoed,
    Ill,
    Processes,
    Rung,
    Tolled,
    World,
    bells,
    book,
    booked,
    echo,
    rope,
    uses,
)

RUNG = Rung(name="a")


class Speechless(Exception):
    """An error that cannot tell what happened."""

    def __str__(self) -> str:
        raise RuntimeError("not even that")


async def _speechless(rung: Rung, tx: Tx[World]) -> None:
    raise Speechless


async def _a_cancelled_task(rung: Rung, tx: Tx[World]) -> None:
    task = asyncio.ensure_future(asyncio.sleep(1))
    task.cancel()
    await task


async def _a_group(rung: Rung, tx: Tx[World]) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_speechless(rung, tx))


async def _odd_reason(rung: Rung, tx: Tx[World]) -> None:
    raise Reject(42)  # type: ignore[arg-type]


async def _nonsense(rung: Rung, tx: Tx[World]) -> object:
    return object()


async def _letters(rung: Rung, tx: Tx[World]) -> str:
    return "abc"


async def _undeclared(rung: Rung, tx: Tx[World]) -> Rung:
    return rung


@pytest.mark.parametrize(
    "behave", [_speechless, _a_cancelled_task, _a_group, _odd_reason, _nonsense, _letters, _undeclared]
)
async def test_no_exception_of_a_team_ends_a_task_of_the_kit(tower: Processes, behave: Behave) -> None:
    """RULES 3.1: it is that delivery's failed attempt; all 32 places at work are still there afterwards."""

    async def sometimes(rung: Rung, tx: Tx[World]) -> Any:
        return await (behave if rung.name == "bad" else book)(rung, tx)

    worker = await tower.start(bells.using(World(behave=sometimes)))
    for number in range(40):
        await tower.hear(Rung(name="bad"), f"bad-{number}")
    await tower.hear(RUNG, "good")
    await tower.advance(LONG)
    assert worker.live
    assert len(tower.letters()) == 40
    assert await booked(worker) == ["a"]


@pytest.mark.parametrize(
    ("said", "names"),
    [
        (RUNG, "bells.ring says bell.rung, which is not an Event"),
        ([RUNG], "bells.ring says bell.rung, which is not an Event"),
        ("abc", "bells.ring says str, which is not an Event"),
        ([object()], "bells.ring says object, which is not an Event"),
        (Tolled(name="a"), "bells.ring says bell.tolled version 1, which it does not declare"),
        (Echoed(name="x" * 240), "bytes and the bound is 640"),
    ],
)
async def test_what_may_not_be_said_is_the_attempts_own_error_and_names_it(
    tower: Processes, said: object, names: str
) -> None:
    """RULES 4.3: unknown, undeclared or too big: nothing is said, the letter names handler and type, or the bound."""

    async def speak(rung: Rung, tx: Tx[World]) -> Any:
        return said if rung.name == "bad" else Echoed(name=rung.name)

    worker = await tower.start(bells.using(World(behave=speak)))
    recorder = worker.committer.recorder
    recorder.builder = replace(recorder.builder, max_bytes=640)
    await tower.hear(Rung(name="bad"), "bad")
    await tower.hear(RUNG, "good")
    await tower.advance(LONG)
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "Unsayable"
    assert names in str(letter.headers["hocket-death-error"])
    assert [each.data["name"] for each in tower.log() if each.source == "/bells"] == ["a"]
    assert worker.health() == []


async def test_defer_costs_no_attempt_and_runs_the_same_one_again(tower: Processes) -> None:
    """RULES 3.5: `deferred` of attempt n records n-1 and sends n again, under the same outside key."""
    world = World()

    async def wait(rung: Rung, tx: Tx[World]) -> None:
        if len(world.attempts) < 2:
            raise Ill
        if len(world.attempts) < 4:
            raise Defer(timedelta(seconds=5))

    world.behave = wait
    worker = await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await tower.advance(timedelta(seconds=3))
    mark = inbox_key("bells.ring", "/post", "bell.rung", "k")
    row = (await worker.runtime.store.inbox([mark]))[mark]
    assert (row.state, row.attempt) == (InboxState.RETRY, 1)
    await tower.advance(LONG)
    assert world.attempts == [1, 2, 2, 2]
    assert len(set(world.keys)) == 1
    assert [each["outcome"] for each in tower.receipts()] == ["retry", "deferred", "deferred", "handled"]


async def test_defer_without_end_is_bounded(tower: Processes) -> None:
    """A wait that no calendar holds is cut, and costs no attempt."""

    async def wait(rung: Rung, tx: Tx[World]) -> None:
        raise Defer(timedelta.max)

    worker = await tower.start(bells.using(World(behave=wait)))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    assert worker.live
    assert [each["outcome"] for each in tower.receipts()] == ["deferred"]


async def test_an_attempt_that_waits_for_the_write_lease_runs_out_of_time(tower: Processes) -> None:
    """RULES 3.3: a timeout while the lease is held elsewhere is that attempt's own; the service lives."""
    slow = Service("slow", owner="team-tower", uses=uses)

    @slow.handler(timeout=timedelta(seconds=2))
    async def wait(rung: Rung, tx: Tx[World]) -> None:
        await tx.use.behave(rung, tx)

    async def write(rung: Rung, tx: Tx[World]) -> None:
        await tx.db()

    worker = await tower.start(slow.using(World(behave=write)))
    async with worker.runtime.store.transaction():
        await tower.hear(RUNG, "k")
        await asyncio.sleep(5)
    await tower.advance(LONG)
    assert worker.live
    assert [(each["outcome"], each["cause"]) for each in tower.receipts()][:1] == [("retry", "timeout")]
    assert tower.receipts()[-1]["outcome"] == "handled"


async def test_calling_outside_with_the_transaction_open_is_refused(tower: Processes) -> None:
    """RULES 3.3: entering `tx.outside` after `await tx.db()` raises with the sentence that mends it."""
    told: list[str] = []

    async def late(rung: Rung, tx: Tx[World]) -> None:
        await tx.db()
        with pytest.raises(OutsideTooLate) as wrong:
            async with tx.outside(rope):
                told.append("called")
        told.append(str(wrong.value))

    await tower.start(bells.using(World(behave=late)))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    assert len(told) == 1
    assert "tx.read()" in told[0]


async def test_read_gives_committed_data_before_the_call(tower: Processes) -> None:
    """RULES 3.3: "read the token, charge, write": `tx.read` takes no lease and closes before the write."""
    seen: list[int] = []

    async def charge(rung: Rung, tx: Tx[World]) -> Echoed:
        db = await tx.read()
        seen.append((await db.exec_driver_sql("SELECT count(*) FROM tolled")).scalar_one())
        async with tx.outside(rope):
            pass
        return await book(rung, tx)

    worker = await tower.start(bells.using(World(behave=charge)))
    await tower.hear(RUNG, "k1")
    await tower.quiet()
    await tower.hear(RUNG, "k2")
    await tower.quiet()
    assert seen == [0, 1]
    assert await booked(worker) == ["a", "a"]


async def test_a_failed_transaction_is_rolled_back_whole_and_its_failure_committed(tower: Processes) -> None:
    """RULES 3.1: the handler's writes are gone, the failed attempt stands in a `Tx` of the kit."""

    async def half(rung: Rung, tx: Tx[World]) -> Echoed:
        said = await book(rung, tx)
        if tx.attempt == 1:
            raise Ill
        return said

    worker = await tower.start(bells.using(World(behave=half)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert await booked(worker) == ["a"]
    assert [(each["outcome"], each["attempt"]) for each in tower.receipts()] == [("retry", 1), ("handled", 2)]
    assert len([each for each in tower.log() if each.type == "bell.echoed"]) == 1


async def test_two_openings_at_once_share_the_transaction(tower: Processes) -> None:
    """`tx.db()` from two tasks of one handler is one transaction, not a wait for oneself."""

    async def both(rung: Rung, tx: Tx[World]) -> Echoed:
        one, two = await asyncio.gather(tx.db(), tx.db())
        assert one is two
        return await book(rung, tx)

    worker = await tower.start(bells.using(World(behave=both)))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    assert await booked(worker) == ["a"]


async def test_a_handler_without_time_is_a_failed_attempt(tower: Processes) -> None:
    """The bound of one attempt is its `timeout`; the cause says so."""
    late = Service("late", owner="team-tower", uses=uses)

    @late.handler(timeout=timedelta(seconds=1))
    async def sleep(rung: Rung, tx: Tx[World]) -> None:
        await asyncio.sleep(60 if tx.attempt == 1 else 0)

    await tower.start(late.using(World(behave=echo)))
    await tower.hear(RUNG, "k")
    await tower.advance(LONG)
    assert [(each["outcome"], each["cause"]) for each in tower.receipts()] == [("retry", "timeout"), ("handled", "")]
