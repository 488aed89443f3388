"""Intake under control: by counts and by bytes, by the handler's word, and no subscription at another's expense."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket import Heard, Service, Tx
from hocket.broker.memory import MemoryTransport
from hocket.broker.topology import LOG
from hocket.config import Config
from hocket.declarations.subscription import CONCURRENCY, MAX_CONCURRENCY, MAX_PREFETCH
from hocket.delivery.intake import PrefetchBudget
from hocket.errors import DeclarationError
from tests.hocket.sample_services import Processes, Rung, World, bells, until

SHARE = 1_000_000


def test_small_deliveries_never_change_the_prefetch() -> None:
    """The ordinary case: what is held is far below the share."""
    budget = PrefetchBudget(SHARE, 256)
    for _ in range(1000):
        budget.take(600)
        assert budget.change() is None
        budget.free(600)


def test_large_deliveries_stop_intake_and_it_goes_on_with_as_many_as_fit() -> None:
    """Above the share: none; below half of it: as many as fit by their size; small again: all."""
    budget = PrefetchBudget(SHARE, 256)
    asked = []
    for _ in range(11):
        budget.take(100_000)
        asked.append(budget.change())
    assert asked[-1] == 0
    for _ in range(5):
        budget.free(100_000)
        assert budget.change() is None
    budget.free(100_000)
    [resumed] = [budget.change()]
    assert resumed is not None
    assert 1 <= resumed <= 7
    for _ in range(200):
        budget.take(100)
        budget.free(100)
        budget.change()
    assert budget.current == 256


@given(st.lists(st.integers(0, 3 * SHARE), max_size=60))
def test_whatever_comes_it_never_rests_for_ever(sizes: list[int]) -> None:
    """Once everything is settled at least one more may come; while more than the share is held, none."""
    budget = PrefetchBudget(SHARE, 64)
    for size in sizes:
        budget.take(size)
        budget.change()
        assert budget.held <= SHARE or budget.current == 0
    for size in sizes:
        budget.free(size)
        budget.change()
    assert budget.held == 0
    assert 1 <= budget.current <= 64


class Heavy(Heard, type="heavy.sent"):
    """Something large."""

    name: str
    text: str


async def test_a_slow_handler_does_not_starve_the_others_by_count_or_by_bytes(tower: Processes) -> None:
    """While one subscription holds all that it may, another of the same service handles everything; then it goes on."""
    gate, done = asyncio.Event(), {"slow": 0, "quick": 0}
    service = Service("heavies", owner="team-tower")

    @service.handler
    async def slow(heavy: Heavy, tx: Tx) -> None:
        await gate.wait()
        done["slow"] += 1

    @service.handler
    async def quick(heavy: Heavy, tx: Tx) -> None:
        done["quick"] += 1

    worker = await tower.start(service, Config.model_construct(intake_bytes=2 * SHARE))
    await tower.quiet()
    for number in range(60):
        await tower.hear(Heavy(name="a", text="x" * 100_000), f"k{number}")
    await until(lambda: done["quick"] == 60, 30)
    intake = worker.runners["heavies.slow"].intake
    assert done["slow"] == 0
    assert SHARE / 2 < intake.held_of("heavies.slow") * 101_000 < SHARE + 2 * 101_000
    gate.set()
    await until(lambda: done["slow"] == 60, 30)
    await tower.quiet()
    assert intake.held_of("heavies.slow") == 0
    assert worker.runners["heavies.quick"].intake.held_of("heavies.quick") == 0


async def test_as_many_hands_wake_as_there_are_arrivals(tower: Processes) -> None:
    """One event wakes one of the handlers that wait, not all."""
    gate = asyncio.Event()

    async def wait(rung: Rung, tx: Tx[World]) -> None:
        await gate.wait()

    worker = await tower.start(bells.using(World(behave=wait)))
    await tower.quiet()
    lane = worker.runners["bells.ring"]
    for number in range(3):
        await tower.hear(Rung(name="a"), f"k{number}")
        await until(lambda number=number: lane.in_progress == number + 1, 10)  # type: ignore[misc]
        await asyncio.sleep(1)
        # A handler that is woken in vain waits again at once: nobody outside can tell.
        assert sum(not each.done() for each in lane._waiting) == CONCURRENCY - number - 1  # noqa: SLF001
    gate.set()
    await tower.quiet()
    assert len(tower.receipts()) == 3


@pytest.mark.parametrize(
    ("options", "pace"),
    [
        ({}, (CONCURRENCY, None)),
        ({"concurrency": 1}, (1, None)),
        ({"concurrency": 500}, (500, None)),
        ({"prefetch": 5}, (5, 5)),
        ({"concurrency": 2, "prefetch": 2}, (2, 2)),
        ({"concurrency": MAX_CONCURRENCY, "prefetch": MAX_PREFETCH}, (MAX_CONCURRENCY, MAX_PREFETCH)),
    ],
)
def test_a_handler_names_its_pace(options: dict[str, int], pace: tuple[int, int | None]) -> None:
    """Concurrency that is not named follows the prefetch; prefetch that is not named is left to the setting."""
    declared = _declare(options)().declarations.subscriptions["paced.take"]
    assert (declared.concurrency, declared.prefetch) == pace


@pytest.mark.parametrize(
    ("options", "prefetch"),
    [({}, 40), ({"concurrency": 1}, 40), ({"concurrency": 500}, 500), ({"prefetch": 5}, 5)],
)
async def test_the_setting_is_the_prefetch_of_who_names_none(
    tower: Processes, options: dict[str, int], prefetch: int
) -> None:
    """`HOCKET_PREFETCH` reaches the broker, and never hands a handler fewer deliveries than it can have at work."""
    asked = list[int]()
    consume = MemoryTransport.consume

    async def seen(self: MemoryTransport, queue: str, **words: Any) -> Any:
        if queue != LOG:  # which is read by the kit
            asked.append(words["prefetch"])
        return await consume(self, queue, **words)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(MemoryTransport, "consume", seen)
        await tower.start(_declare(options)(), Config.model_construct(prefetch=40))
        await tower.quiet()
    assert asked == [prefetch]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"concurrency": 0}, "concurrency=0 is out of bounds; give 1 to 1000"),
        ({"concurrency": True}, "concurrency=True is out of bounds"),
        ({"prefetch": MAX_PREFETCH + 1}, "prefetch=2001 is out of bounds; give 1 to 2000"),
        (
            {"concurrency": 3, "prefetch": 2},
            "prefetch=2 is lower than concurrency=3, which it would limit; give at least as many",
        ),
        ({"prefech": 2}, "did you mean prefetch="),
    ],
)
def test_a_pace_that_cannot_be_meant_is_refused(options: dict[str, int], sentence: str) -> None:
    """At import, with what to write instead."""
    with pytest.raises(DeclarationError) as refused:
        _declare(options)()
    assert sentence in str(refused.value)


def _declare(options: dict[str, int]) -> Callable[[], Service[None]]:
    def declare() -> Service[None]:
        service = Service("paced", owner="team-tower")

        @service.handler(**options)  # type: ignore[call-overload, untyped-decorator]
        async def take(rung: Rung, tx: Tx) -> None:
            """Nothing."""

        return service

    return declare


async def test_one_at_a_time(tower: Processes) -> None:
    """`concurrency=1`: the next begins when the one before has ended."""
    service = Service("singles", owner="team-tower")
    at_work = most = 0

    @service.handler(concurrency=1, prefetch=4)
    async def take(rung: Rung, tx: Tx) -> None:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        await asyncio.sleep(1)
        at_work -= 1

    worker = await tower.start(service)
    for number in range(6):
        await tower.hear(Rung(name="a"), f"k{number}")
    await tower.quiet()
    assert most == 1
    assert worker.runners["singles.take"].in_progress == 0
    assert len(tower.receipts()) == 6
