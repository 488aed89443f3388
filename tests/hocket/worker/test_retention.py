"""RULES 2.7: which rows are kept, which are deleted, and what comes too late."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from hocket import Service, Tx
from hocket.clock import rfc3339
from hocket.config import Config
from hocket.setting_groups import Retention
from hocket.store.purge import MARGIN
from hocket.store.records import Before
from hocket.worker.retention import FIRST_WAIT, HORIZON_STEP, STEP_ROWS, SWEEP_WAIT, cutoffs
from tests.hocket.sample_services import (
    FLOW,
    LONG,
    Processes,
    Rung,
    Shut,
    Tolled,
    World,
    bells,
    echo,
    steps,
    tables,
    until,
    uses,
)

HOUR = timedelta(hours=1)
KEEP = Config(inbox_days=1 / 24, ledger_days=1 / 24, dead_days=1 / 24)


async def test_what_is_older_than_the_inbox_remembers_is_buried(tower: Processes) -> None:
    """RULES 2.7: cause `too-old`, without a run and without a row; only a replay admits it, once."""
    world = World(behave=echo)
    worker = await tower.start(bells.using(world), KEEP)
    said = tower.clock.now()
    await tower.hear(Rung(name="a"), "k", time=said - HOUR - timedelta(seconds=1))
    await tower.hear(Rung(name="b"), "k2", time=said - HOUR + timedelta(minutes=1))
    await tower.quiet()
    [letter] = tower.letters()
    assert letter.headers["hocket-death-cause"] == "too-old"
    horizon = worker.runtime.store.clock.horizon + MARGIN
    error = str(letter.headers["hocket-death-error"])
    assert f"said before {rfc3339(datetime.fromtimestamp(horizon, UTC))}" in error
    assert "replay it if it was not" in error
    assert "HOCKET_INBOX_DAYS, now 0.0416667" in error
    assert len(world.attempts) == 1
    for _ in range(2):
        await worker.send("bells.ring", letter.body, letter.content_type, replay="r1", attempt=2)
    await tower.quiet()
    assert len(world.attempts) == 2
    assert len(tower.letters()) == 1


async def test_a_failure_that_is_too_old_leaves_the_ledger_alone(tower: Processes) -> None:
    """RULES 2.7, 5.5: `too-old` touches neither ledger nor inbox row."""
    worker = await tower.start(steps.using(World()), KEEP)
    await tower.hear(Shut(name="a"), "k", time=tower.clock.now() - HOUR - timedelta(days=1))
    await tower.quiet()
    assert [each.routing_key for each in tower.letters()] == ["steps.hush"]
    async with worker.runtime.store.read() as db:
        assert not list(await db.exec_driver_sql("SELECT run FROM hocket_ledger"))


async def test_a_double_is_seen_as_long_as_it_is_admitted(tower: Processes) -> None:
    """RULES 2.7: a row outlives the moment from which on its event comes too late, so that no double passes."""
    world = World(behave=echo)
    worker = await tower.start(bells.using(world), KEEP)
    said = tower.clock.now()
    await tower.hear(Rung(name="a"), "k", time=said)
    await tower.quiet()
    await asyncio.sleep((HOUR - timedelta(minutes=1)).total_seconds())
    await worker.sweeper.sweep()
    await tower.hear(Rung(name="a"), "k", time=said)
    await tower.quiet()
    assert tower.receipts()[-1]["outcome"] == "duplicate"
    await asyncio.sleep(MARGIN + 120)
    await worker.sweeper.sweep()
    assert worker.sweeper.purged == 1
    await tower.hear(Rung(name="a"), "k", time=said)
    await tower.quiet()
    assert tower.receipts()[-1]["cause"] == "too-old"
    assert world.attempts == [1]


async def test_a_purge_goes_on_under_load(tower: Processes) -> None:
    """RULES 2.7: in bounded steps, hour by hour, while the service works, which loses nothing by it."""
    world = World(behave=echo)
    worker = await tower.start(bells.using(world), KEEP)
    many = STEP_ROWS + 20
    for number in range(many):
        await tower.hear(Rung(name="a"), f"old {number}")
    await tower.quiet()
    await asyncio.sleep((HOUR + timedelta(seconds=MARGIN)).total_seconds())
    for number in range(40):
        await tower.hear(Rung(name="b"), f"new {number}")
    await until(lambda: worker.sweeper.purged == many, patience=2 * SWEEP_WAIT)
    await tower.quiet()
    assert len(world.attempts) == many + 40
    async with worker.runtime.store.read() as db:
        [[left]] = await db.exec_driver_sql("SELECT count(*) FROM hocket_inbox")
    assert left == 40


async def test_a_key_said_outside_handlers_is_forgotten_too(tower: Processes) -> None:
    """RULES 2.7: `seen` holds while the inbox remembers."""
    worker = await tower.start(bells.using(World()), KEEP)
    async with worker.outside("order-1", FLOW) as tx:
        assert not tx.seen
    await asyncio.sleep((HOUR + timedelta(seconds=MARGIN + 60)).total_seconds())
    await worker.sweeper.sweep()
    async with worker.outside("order-1", FLOW) as tx:
        assert not tx.seen


def test_the_moments_lie_behind_the_retention() -> None:
    """RULES 2.7: rows that are kept longer than the inbox lie so much behind the horizon."""
    keep = Retention(timedelta(days=1), timedelta(days=3), timedelta(days=2))
    assert cutoffs(keep, 9 * 86400, {}) == Before(9 * 86400, 7 * 86400, 8 * 86400)


def test_remember_only_ever_lengthens_the_ledger() -> None:
    """RULES 5.4: runs are kept for `remember`, and never for less than the ledger's days."""
    keep = Retention(timedelta(days=1), timedelta(days=3), timedelta(days=2))
    moments = cutoffs(keep, 9 * 86400, {"a.long": timedelta(days=5), "a.short": timedelta(days=1)})
    assert moments.of_run("a.long", "done") == 5 * 86400
    assert moments.of_run("a.long", "void") == moments.of_run("a.short", "done") == 8 * 86400


async def test_a_cancellation_reaches_a_run_for_as_long_as_it_is_remembered(tower: Processes) -> None:
    """RULES 5.4: after the ledger's days `remember=` still knows what was done; then its receipt says `none`."""
    world = World(behave=toll_it)
    worker = await tower.start(patient(HOUR * 10).using(world), KEEP)
    for key in ("a", "b"):
        await tower.hear(Rung(name=key), key)
    await tower.quiet()
    await asyncio.sleep((HOUR * 3).total_seconds())
    await worker.sweeper.sweep()
    await tower.hear(Shut(name="a"), "s", correlation_id="0198c5b8-0000-7000-8000-000000000002")
    await tower.advance(LONG)
    assert [name for name, *_ in world.undone] == ["a"]
    await asyncio.sleep((HOUR * 12).total_seconds())
    await worker.sweeper.sweep()
    await tower.hear(Shut(name="b"), "s2", correlation_id="0198c5b8-0000-7000-8000-000000000002")
    await tower.advance(LONG)
    assert [name for name, *_ in world.undone] == ["a"]
    assert [each["reached"] for each in tower.receipts() if "reached" in each] == [[FLOW], "none"]


async def test_runs_from_before_across_are_found_once_they_are_renamed(tower: Processes) -> None:
    """RULES 5.1: soon after the start with `across`, whenever the last sweep was; until then a failure reaches none."""
    world, away = World(behave=toll_it), "0198c5b8-0000-7000-8000-000000000002"
    worker = await tower.start(patient(HOUR * 10, across=False).using(world))
    for key in ("a", "b"):
        await tower.hear(Rung(name=key), key)
    await tower.quiet()
    await worker.sweeper.sweep()
    await tower.stop("steps")
    worker = await tower.start(patient(HOUR * 10).using(world))
    await tower.hear(Shut(name="a"), "s1", correlation_id=away)
    await asyncio.sleep(FIRST_WAIT[1] + 60)
    await tower.hear(Shut(name="b"), "s2", correlation_id=away)
    await tower.advance(LONG)
    assert [each["reached"] for each in tower.receipts() if "reached" in each] == ["none", [FLOW]]
    assert [name for name, *_ in world.undone] == ["b"]
    await tower.hear(Rung(name="b"), "again", correlation_id=away)
    await tower.quiet()
    assert tower.receipts()[-1]["cause"] == "conflict"


async def toll_it(rung: Rung, tx: Tx[World]) -> Tolled:
    """Take effect."""
    return Tolled(name=rung.name)


def patient(remember: timedelta, *, across: bool = True) -> Service[World]:
    """A service whose step can be undone from every flow, and is remembered for so long."""
    made = Service("steps", owner="team-tower", uses=uses, tables=tables)

    @made.handler
    async def toll(rung: Rung, tx: Tx[World]) -> Tolled | None:
        said: Tolled | None = await tx.use.behave(rung, tx)
        return said

    @made.undo(toll, Tolled, by="name", across=across, remember=remember)
    async def hush(rung: Rung, did: Tolled | None, why: Shut, tx: Tx[World]) -> None:
        tx.use.undone.append((rung.name, did is not None, type(why).__name__, tx.idempotency_key))

    return made


async def test_a_process_that_lives_shortly_purges_too(tower: Processes) -> None:
    """RULES 2.7: the first sweep comes soon after the start, unless one ended within the hour; the store remembers."""
    worker = await tower.start(bells.using(World(behave=echo)), KEEP)
    await tower.hear(Rung(name="a"), "k")
    await tower.quiet()
    purged: list[int] = []
    for _ in range(8):
        await asyncio.sleep(1200)
        await tower.stop("bells")
        worker = await tower.start(bells.using(World(behave=echo)), KEEP)
        purged.append(worker.sweeper.purged)
        await asyncio.sleep(FIRST_WAIT[1] + 60)
        purged.append(worker.sweeper.purged)
    assert sum(purged) == 1


async def test_a_clock_that_is_far_ahead_makes_nothing_too_old(tower: Processes) -> None:
    """RULES 2.7: the horizon moves by a few hours a sweep, whatever the clock says, and never back."""
    worker = await tower.start(bells.using(World(behave=echo)))
    began = tower.clock.now()
    horizon = worker.runtime.store.clock.horizon
    keep = timedelta(days=30).total_seconds() + MARGIN
    await worker.runtime.store.clock.move_horizon(keep - timedelta(days=400).total_seconds(), HORIZON_STEP)
    assert worker.runtime.store.clock.horizon == horizon + HORIZON_STEP
    await tower.hear(Rung(name="a"), "k", time=began - timedelta(days=29))
    await tower.quiet()
    assert tower.receipts()[-1]["outcome"] == "handled"


async def test_a_replay_of_a_step_that_the_ledger_may_have_forgotten_is_obsolete(tower: Processes) -> None:
    """RULES 2.7: its failure may be forgotten with it, and then it would be a zombie that nobody sees."""
    world = World(behave=echo)
    worker = await tower.start(steps.using(world), KEEP)
    old = tower.clock.now() - HOUR - timedelta(minutes=5)
    await tower.hear(Rung(name="a"), "k", time=old)
    await tower.quiet()
    [letter] = tower.letters()
    await worker.send(letter.routing_key, letter.body, letter.content_type, replay="r1", attempt=2)
    await tower.quiet()
    assert tower.receipts()[-1]["outcome"] == "obsolete"
    assert world.attempts == []


def test_retentions_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 2.7: HOCKET_INBOX_DAYS, HOCKET_LEDGER_DAYS, HOCKET_DEAD_DAYS; the inbox is never the longest."""
    assert Config().retention() == (timedelta(days=30), timedelta(days=365), timedelta(days=30))
    monkeypatch.setenv("HOCKET_INBOX_DAYS", "7")
    monkeypatch.setenv("HOCKET_LEDGER_DAYS", "7.5")
    assert Config().retention() == (timedelta(days=7), timedelta(days=365), timedelta(days=7, hours=12))
    assert Config().retention().dead == timedelta(days=365)
    monkeypatch.setenv("HOCKET_LEDGER_DAYS", "6")
    with pytest.raises(ValidationError, match="give the last two at least as many days as the first"):
        Config()
