"""Station handle: what fails the same way for every delivery pauses its subscription (RULES 6.11)."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from hocket import Defer, Reject, Retry, Service, Tx
from hocket.resilience.same_fault import FAILURES, PAUSE
from hocket.store.records import Ending, RowKind
from hocket.worker import Worker
from tests.hocket.sample_services import (
    BRIEF,
    LONG,
    Behave,
    Echoed,
    FaultyStore,
    Ill,
    Processes,
    Rung,
    Shut,
    World,
    bells,
    booked,
    echo,
    until,
    uses,
)  # fmt: skip

MISSING = "CREATE TABLE rung (name VARCHAR NOT NULL)"


async def _insert(rung: Rung, tx: Tx[World]) -> Any:
    tx.use.keys.append("called outside")
    await (await tx.db()).execute(text("INSERT INTO rung VALUES (:name)"), {"name": rung.name})
    return await echo(rung, tx)


async def _hear(tower: Processes, count: int, *, subject: str = "", start: int = 0) -> None:
    for number in range(start, start + count):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}", subject=subject or f"bell/{number}")


def _state(worker: Worker) -> str:
    return worker.circuits["bells.ring"].state


def _words(tower: Processes) -> list[str]:
    return [each["outcome"] for each in tower.receipts()]


async def test_a_missing_table_pauses_and_burns_nothing(tower: Processes) -> None:
    """RULES 6.11: ten attempts show it; then one delivery tries at a time, and all are handled once it is there."""
    world = World(behave=_insert)
    worker = await tower.start(bells.using(world))
    await _hear(tower, 100)
    await asyncio.sleep(5)
    [reason] = worker.health()
    assert reason.startswith(
        "bells.ring is paused: its deliveries fail the same way, OperationalError SQLITE_ERROR at "
    )
    assert "test_handle_pauses.py" in reason
    assert worker.circuits["bells.ring"].state == "open"
    await asyncio.sleep(60)
    assert _words(tower).count("retry") == FAILURES
    assert not tower.letters()
    assert len(world.keys) <= 32 + 60 / PAUSE.total_seconds() + 1  # those that had begun, and the probes
    async with worker.runtime.store.transaction() as tx:
        await (await tx.db()).execute(text(MISSING))
    await tower.advance(LONG)
    assert worker.health() == []
    assert _state(worker) == "closed"
    assert not tower.letters()
    assert _words(tower).count("handled") == 100
    async with worker.runtime.store.read() as db:
        assert (await db.execute(text("SELECT count(*), count(DISTINCT name) FROM rung"))).one() == (100, 100)


async def test_few_deliveries_pause_before_one_of_them_dies(tower: Processes) -> None:
    """RULES 6.11: three that fail alike again and again are paused within ten attempts of all together."""
    worker = await tower.start(bells.using(World(behave=_insert)))
    await _hear(tower, 3)
    await asyncio.sleep(30)
    assert worker.health() != []
    assert not tower.letters()
    assert _words(tower).count("retry") == FAILURES


async def _always(rung: Rung, tx: Tx[World]) -> None:
    raise Ill


CASES = ["one delivery", "one subject", "success between", "rejected", "other places", "never"]


@pytest.mark.parametrize("case", CASES)
async def test_what_is_not_every_delivery_pauses_nobody(tower: Processes, case: str) -> None:
    """RULES 6.11: a bad letter, all that is said of one order, a neighbour that works, a handler's own word."""
    narrow = Service("narrow", owner="team-tower", uses=uses)

    @narrow.handler(
        concurrency=1, retry=Retry(retries=1, first=timedelta(0), never=(Ill,)) if case == "never" else BRIEF
    )
    async def take(rung: Rung, tx: Tx[World]) -> None:
        number = int(rung.name[1:])
        if case == "success between" and number % 5 == 0:
            return
        if case == "rejected":
            raise Reject("no")
        if case == "other places" and number % 2:
            raise Ill
        raise Ill

    worker = await tower.start(narrow.using(World()))
    await until(lambda: not worker.health(), 10)
    await _hear(tower, 1 if case == "one delivery" else 40, subject="bell/one" if case == "one subject" else "")
    reasons = set[str]()
    for number in range(300):
        if case == "success between":
            await tower.hear(Rung(name="n0"), f"good-{number}", subject=f"bell/good-{number}")
        await asyncio.sleep(0.1)
        reasons |= set(worker.health())
    assert not reasons
    await tower.advance(LONG)
    assert len(tower.letters()) == {"one delivery": 1, "success between": 32}.get(case, 40)


async def test_a_pause_for_one_fault_ends_when_another_takes_its_place(tower: Processes) -> None:
    """RULES 6.11: a probe that fails otherwise shows that the cause is gone; it is that delivery's own attempt."""
    world = World(behave=_always)
    worker = await tower.start(bells.using(world))
    await _hear(tower, 20)
    await asyncio.sleep(2)
    assert worker.health() != []

    async def poison(rung: Rung, tx: Tx[World]) -> Any:
        if rung.name == "n7":
            raise ValueError("its own")
        return await echo(rung, tx)

    world.behave = poison
    await tower.advance(LONG)
    assert worker.health() == []
    assert _words(tower).count("handled") == 19
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "ValueError"


@pytest.mark.parametrize("end", ["defer", "stop"])
async def test_a_probe_that_tells_nothing_gives_its_place_back(tower: Processes, end: str) -> None:
    """RULES 6.11: deferred by its handler, or interrupted, it decides nothing; the next one probes."""
    world = World(behave=_always)
    await tower.start(bells.using(world))
    await _hear(tower, 20)
    await asyncio.sleep(2)
    deferred: list[str] = []

    async def defer(rung: Rung, tx: Tx[World]) -> Any:
        if not deferred:
            deferred.append(rung.name)
            raise Defer(timedelta(seconds=60))
        return await echo(rung, tx)

    if end == "stop":
        await tower.stop("bells")
        await tower.start(bells.using(World(behave=echo)))
    else:
        world.behave = defer
    await tower.advance(LONG)
    assert _words(tower).count("handled") == 20


async def test_a_pause_is_told_and_shown(tower: Processes) -> None:
    """RULES 6.11: as a breaker in heartbeats and metrics, once in the log, without the text of the error."""
    told: list[tuple[str, dict[str, Any]]] = []

    async def secret(rung: Rung, tx: Tx[World]) -> None:
        raise Ill("4111-1111")

    worker = await tower.start(bells.using(World(behave=secret)))
    worker.runtime.signals.trouble = lambda service, what, **about: told.append((what, about))  # type: ignore[method-assign]
    await _hear(tower, 20)
    await asyncio.sleep(45)
    [(what, about)] = told
    assert what == "a subscription is paused: its deliveries fail the same way"
    assert about["subscription"] == "bells.ring"
    assert (about["kind"], about["code"]) == ("Ill", "")
    assert about["place"].startswith("test_handle_pauses.py:")
    assert "4111" not in str(told) + str(worker.health())
    assert await booked(worker) == []


async def test_the_other_subscriptions_go_on(tower: Processes) -> None:
    """RULES 6.11: a pause is of one subscription; its neighbour in the same service handles everything at once."""
    two = Service("two", owner="team-tower", uses=uses)
    done: list[str] = []

    @two.handler
    async def bad(rung: Rung, tx: Tx[World]) -> None:
        raise Ill

    @two.handler
    async def good(rung: Rung, tx: Tx[World]) -> None:
        done.append(rung.name)

    worker = await tower.start(two.using(World()))
    await _hear(tower, 60)
    await asyncio.sleep(5)
    assert len(done) == 60
    assert [each.partition(" ")[0] for each in worker.health()] == ["two.bad"]


async def _too_large(rung: Rung, tx: Tx[World]) -> Echoed:
    return Echoed(name="x" * 2_000_000)


async def _in_its_own_transaction(rung: Rung, tx: Tx[World]) -> Echoed:
    await tx.db()
    return Echoed(name="x" * 2_000_000)


async def _undeclared(rung: Rung, tx: Tx[World]) -> Any:
    return Shut(name="not an event that it says")


def _defined() -> str:
    """Where the handler of `bells` is defined."""
    code = bells.declarations.subscriptions["bells.ring"].call.__code__
    return f"sample_services.py:{code.co_firstlineno} in ring"


@pytest.mark.parametrize("behave", [_too_large, _in_its_own_transaction, _undeclared])
async def test_what_no_commit_takes_pauses_and_names_the_handler(tower: Processes, behave: Behave) -> None:
    """RULES 6.11: what a handler returned is refused, by the kit or at the group commit, every time: it is paused."""
    world = World(behave=behave)
    worker = await tower.start(bells.using(world))
    await _hear(tower, 60)
    await asyncio.sleep(5)
    [reason] = worker.health()
    assert f"its deliveries fail the same way, Unsayable at {_defined()}:" in reason
    await asyncio.sleep(60)
    assert _words(tower).count("retry") == FAILURES
    assert not tower.letters()
    world.behave = echo
    await tower.advance(LONG)
    assert worker.health() == []
    assert not tower.letters()
    assert _words(tower).count("handled") == 60


async def test_what_the_store_refuses_of_every_delivery_pauses(tower: Processes) -> None:
    """RULES 6.11: the handlers end well and the group commit refuses each end; a success is one that is committed."""
    worker = await tower.start(bells.using(World(behave=echo)))
    store = worker.runtime.store
    assert isinstance(store, FaultyStore)
    store.refuses = lambda endings: ValueError("no") if any(_says(each) for each in endings) else None
    await _hear(tower, 60)
    await asyncio.sleep(5)
    [reason] = worker.health()
    assert "its deliveries fail the same way, ValueError at " in reason
    await asyncio.sleep(60)
    assert _words(tower).count("retry") == FAILURES
    assert not tower.letters()
    store.refuses = lambda endings: None
    await tower.advance(LONG)
    assert worker.health() == []
    assert not tower.letters()
    assert _words(tower).count("handled") == 60


def _says(ending: Ending) -> bool:
    return any(each.kind is RowKind.EVENT for each in ending.outbox)
