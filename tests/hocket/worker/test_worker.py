"""A running service: starting, stopping in every phase, and being killed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from hocket import Service, Tx
from hocket.broker.topology import RECEIPTS
from hocket.config import Config
from hocket.errors import ConfigError, HocketError
from hocket.store.records import Ending, OutboxRow, RowKind
from tests.hocket.sample_services import (
    FLOW,
    Echoed,
    FaultyStore,
    Processes,
    Rung,
    World,
    bells,
    book,
    booked,
    echo,
    message_of,
    ropes,
    steps,
    until,
)

#: Seconds that handlers get to finish at a stop, where nobody sets another number.
STOP_SECONDS = Config.model_construct().stop_seconds

RUNG = Rung(name="a")


def mine() -> set[str]:
    """Names of the tasks of services."""
    return {task.get_name() for task in asyncio.all_tasks() if task.get_name().startswith(("bells:", "steps:"))}


async def test_a_stop_gives_back_by_nack_and_costs_no_attempt(tower: Processes) -> None:
    """RULES 1.3: what did not finish in time comes again with the same attempt, to the next process."""
    world = World()

    async def hang(rung: Rung, tx: Tx[World]) -> None:
        await asyncio.sleep(3600)

    world.behave = hang
    worker = await tower.start(bells.using(world))
    for number in range(50):
        await tower.hear(RUNG, f"k{number}")
    await tower.hear(RUNG, "k0")
    await asyncio.sleep(1)
    assert len(world.attempts) == 32
    began = tower.clock.monotonic()
    await tower.stop("bells")
    assert tower.clock.monotonic() - began < STOP_SECONDS + 5
    assert not mine()
    assert not worker.runtime.tasks.failed
    assert tower.broker.depth("bells.ring") == 51
    assert tower.receipts() == []
    world.behave = book
    worker = await tower.start(bells.using(world))
    await tower.quiet()
    assert len(await booked(worker)) == 50
    assert set(world.attempts) == {1}


async def test_a_stop_lets_handlers_finish(tower: Processes) -> None:
    """RULES 1.2: consume no more, finish, settle, publish, close."""

    async def slow(rung: Rung, tx: Tx[World]) -> Echoed:
        await asyncio.sleep(3)
        return Echoed(name=rung.name)

    await tower.start(bells.using(World(behave=slow)))
    for number in range(40):
        await tower.hear(RUNG, f"k{number}")
    await asyncio.sleep(1)
    await tower.stop("bells")
    assert len([each for each in tower.log() if each.type == "bell.echoed"]) == 32
    assert tower.broker.depth("bells.ring") == 8


async def test_a_handler_that_keeps_the_cancellation_to_itself_holds_nobody(tower: Processes) -> None:
    """A stop ends within its bounds whatever a team's code does with it."""

    async def stubborn(rung: Rung, tx: Tx[World]) -> None:
        while True:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                if rung.name == "once":
                    return

    worker = await tower.start(bells.using(World(behave=stubborn)))
    await tower.hear(Rung(name="once"), "k1")
    await asyncio.sleep(1)
    began = tower.clock.monotonic()
    await tower.stop("bells")
    assert tower.clock.monotonic() - began < STOP_SECONDS + 10
    assert worker.live
    assert not mine()


@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 5, 8, 20])
async def test_a_stop_at_any_moment_of_the_start_leaves_no_task(tower: Processes, ticks: int) -> None:
    """In every phase: at once, while it connects, declares and begins to consume."""
    worker = await tower.start(steps.using(World()))
    for _ in range(ticks):
        await asyncio.sleep(0)
    began = tower.clock.monotonic()
    await tower.stop("steps")
    assert tower.clock.monotonic() - began < 1
    assert not mine()
    assert not worker.runtime.tasks.failed


async def test_a_stop_before_the_broker_was_ever_reached(tower: Processes) -> None:
    """It waits for nobody."""
    worker = await tower.start(bells.using(World()))
    tower.broker.cut("bells", heal=False)
    await asyncio.sleep(5)
    assert worker.health() != []
    began = tower.clock.monotonic()
    await tower.stop("bells")
    assert tower.clock.monotonic() - began < 1
    assert not mine()


async def test_a_stop_while_the_store_fails(tower: Processes) -> None:
    """It ends within its bounds; nothing is settled."""
    worker = await tower.start(bells.using(World(behave=echo)))
    await tower.quiet()
    assert isinstance(worker.runtime.store, FaultyStore)
    worker.runtime.store.broken = "the disk is full"
    for number in range(5):
        await tower.hear(RUNG, f"k{number}")
    await asyncio.sleep(5)
    began = tower.clock.monotonic()
    await tower.stop("bells")
    assert tower.clock.monotonic() - began < 2 * STOP_SECONDS
    assert not mine()
    assert tower.broker.depth("bells.ring") == 5


async def test_a_start_that_fails_leaves_nothing_open(tower: Processes) -> None:
    """The file can be opened again at once."""
    broken = Service("bells", owner="team-tower", uses=_broken)
    with pytest.raises(ConfigError, match="what uses= makes could not start: RuntimeError: no settings"):
        await tower.start(broken)
    assert not mine()
    await tower.start(bells.using(World()))
    await tower.quiet()


@asynccontextmanager
async def _broken() -> AsyncIterator[World]:
    raise RuntimeError("no settings")
    yield World()


@asynccontextmanager
async def _sticky() -> AsyncIterator[World]:
    yield World(behave=echo)
    raise RuntimeError("the session does not close")


async def test_uses_that_do_not_close_keep_nothing_open(tower: Processes) -> None:
    """What a team's code raises at the end stops nothing of the rest."""
    sticky = Service("bells", owner="team-tower", uses=_sticky)
    await tower.start(sticky)
    await tower.quiet()
    await tower.stop("bells")
    await tower.start(bells.using(World()))
    await tower.quiet()


async def test_a_kill_commits_and_settles_nothing(tower: Processes) -> None:
    """RULES 3.1: open transactions are rolled back, deliveries come again, the effect happens once."""
    world = World()

    async def half(rung: Rung, tx: Tx[World]) -> Echoed:
        said = await book(rung, tx)
        await asyncio.sleep(3)
        return said

    world.behave = half
    await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await asyncio.sleep(1)
    await tower.kill("bells")
    assert not mine()
    world.behave = book
    worker = await tower.start(bells.using(world))
    await tower.quiet()
    assert await booked(worker) == ["a"]
    assert world.attempts == [1, 1]


async def test_a_copy_that_waited_goes_with_its_epoch(tower: Processes) -> None:
    """RULES 1.1: copies of what is in work are dropped when their connection is gone, and come again."""
    world = World()
    gate = asyncio.Event()

    async def wait(rung: Rung, tx: Tx[World]) -> Echoed:
        await gate.wait()
        return Echoed(name=rung.name)

    world.behave = wait
    worker = await tower.start(bells.using(world))
    await tower.hear(RUNG, "k")
    await tower.hear(RUNG, "k")
    for _ in range(5):
        await asyncio.sleep(1)
        tower.broker.cut("bells")
    await asyncio.sleep(1)
    assert (
        worker.runners["bells.ring"].intake.held_of("bells.ring") == 3
    )  # the run in progress and the two of this epoch
    gate.set()
    await tower.quiet()
    assert world.attempts == [1]
    assert tower.broker.depth("bells.ring") == 0
    assert [each["outcome"] for each in tower.receipts()] == ["handled", "duplicate", "duplicate"]


async def test_a_duplicate_asks_for_what_is_pending(tower: Processes) -> None:
    """RULES 3.5: what has become due and nobody handed over goes out with the duplicate, not at the next look."""
    worker = await tower.start(bells.using(World()))
    await tower.hear(RUNG, "k")
    await tower.quiet()
    message = message_of(Rung(name="pending"), "pending", tower.clock)
    await worker.runtime.store.commit([Ending(outbox=(OutboxRow(RowKind.EVENT, message, 0.0, wait=0.5),))])
    await asyncio.sleep(1)
    assert tower.log()[-1].id == "k"
    await tower.hear(RUNG, "k")
    await until(lambda: tower.log()[-1].id == "pending", 0.2)


async def test_a_replay_needs_a_place_to_go(tower: Processes) -> None:
    """RULES 4.7: `send` is confirmed or raises with the way out."""
    worker = await tower.start(bells.using(World()))
    await tower.quiet()
    with pytest.raises(HocketError, match="start the service once on this broker"):
        await worker.send("nobody.home", b"{}", "application/json", replay="r", attempt=2)


async def test_the_flow_of_what_is_said(tower: Processes) -> None:
    """RULES 2.1: correlation goes on, causation is the id of what was handled."""
    await tower.start(bells.using(World(behave=echo)))
    await tower.hear(RUNG, "k", id="first")
    await tower.quiet()
    [said] = [each for each in tower.log() if each.type == "bell.echoed"]
    assert (said.correlation_id, said.causation_id) == (FLOW, "first")


async def test_a_declared_breaker_is_known_before_it_ever_opens(tower: Processes) -> None:
    """The first heartbeat tells that it is closed, so that a board shows it from the start."""
    await tower.start(ropes.using(World()))
    await tower.quiet()
    facts = [fact for each in tower.broker.messages(RECEIPTS) for fact in json.loads(each.body)]
    beats = [fact["breakers"] for fact in facts if fact["kind"] == "heartbeat"]
    assert beats[0] == {"rope": {"state": "closed", "version": 0, "since": None, "reason": "", "by": ""}}
