"""A process holds its lease, takes over what others left, and ends when its lease was over."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from hocket.clock import Clock
from hocket.config import Config
from hocket.errors import ConfigError, StoreError
from hocket.worker.lease import hold_lease
from hocket.worker.store_opening import OPEN_BACKOFF, StoreOpening
from tests.hocket.sample_runtime import runtime_of
from tests.hocket.sample_services import FaultyStore, Processes, World, bells

#: Seconds between two renewals, where nobody sets another number.
RENEW_SECONDS = Config.model_construct().owner_renew_seconds


class LeasedStore(FaultyStore):
    """A store whose lease and left rows are what a test says."""

    held = True
    left = 0
    away = False

    async def renew(self) -> bool:
        """As the test says."""
        if self.away:
            raise StoreError("away")
        return self.held

    async def take_over(self) -> int:
        """As the test says, once."""
        left, self.left = self.left, 0
        return left


@pytest.fixture
async def store(tower: Processes, tmp_path: Path) -> LeasedStore:
    """A store that nobody has opened, under virtual time."""
    return LeasedStore(str(tmp_path / "leased.db"), clock=tower.clock, boot="b", inline=True)


async def test_what_others_left_is_looked_for(tower: Processes, store: LeasedStore) -> None:
    """RULES 4.1: rows taken over are rows nobody handed to the relay; it looks again, and only then."""
    looks, why = list[float](), list[str]()
    loop = asyncio.get_running_loop()
    runtime = runtime_of("bells", store, tower.clock)
    holding = loop.create_task(hold_lease(runtime, lambda: looks.append(loop.time()), why.append, nothing))
    await asyncio.sleep(2.5 * RENEW_SECONDS)
    assert looks == []
    store.left = 3
    await asyncio.sleep(2 * RENEW_SECONDS)
    assert len(looks) == 1
    holding.cancel()


async def test_a_store_that_is_away_is_asked_again(tower: Processes, store: LeasedStore) -> None:
    """RULES 3.2: the store's failure ends nothing and is told; the lease is renewed when it is back."""
    why: list[str] = []
    store.away = True
    runtime = runtime_of("bells", store, tower.clock)
    holding = asyncio.get_running_loop().create_task(hold_lease(runtime, lambda: None, why.append, nothing))
    await asyncio.sleep(3 * RENEW_SECONDS)
    store.away = False
    told = len(why)
    await asyncio.sleep(3 * RENEW_SECONDS)
    assert not holding.done()
    assert why == ["away"] * told != []
    holding.cancel()


class SlowlyStore(LeasedStore):
    """A store whose server comes up at its third opening."""

    opened: tuple[float, ...] = ()
    away_till = 3

    async def open(self, tables: MetaData | None = None) -> None:
        """As the test says."""
        self.opened += (asyncio.get_running_loop().time(),)
        if len(self.opened) < self.away_till:
            raise StoreError("database shop does not answer")
        await super().open(tables)


@pytest.fixture
async def slowly(tower: Processes, tmp_path: Path) -> SlowlyStore:
    """A store that is away, under virtual time."""
    return SlowlyStore(str(tmp_path / "slowly.db"), clock=tower.clock, boot="b", inline=True)


def opening_of(store: SlowlyStore, clock: Clock) -> StoreOpening:
    """The opening of a service on it."""
    return StoreOpening(runtime_of("bells", store, clock), None)


async def nothing() -> None:
    """Nothing more is to be done."""


async def test_a_store_that_is_away_at_the_start_is_waited_for(tower: Processes, slowly: SlowlyStore) -> None:
    """RULES 3.2: the start says why it waits and goes on by itself; before that nothing is written to the store."""
    opening, steps = opening_of(slowly, tower.clock), list[str]()

    async def begin() -> None:
        steps.append("begin")
        if len(steps) == 1:
            raise StoreError("away again")

    async def work() -> None:
        steps.append("work")

    later = await opening.start(begin, work)
    assert later is not None
    with pytest.raises(StoreError, match="database shop does not answer"):
        opening.check()
    await later
    assert steps == ["begin", "begin", "work"]
    assert len(slowly.opened) == slowly.away_till + 1
    opening.check()
    await slowly.close()


async def test_the_waits_for_a_store_grow_to_their_bound(tower: Processes, slowly: SlowlyStore) -> None:
    """Between tries it waits longer and longer, never longer than the bound."""
    slowly.away_till = 12
    later = await opening_of(slowly, tower.clock).start(nothing, nothing)
    assert later is not None
    await later
    waits = [after - before for before, after in pairwise(slowly.opened)]
    assert waits[0] <= OPEN_BACKOFF.first
    assert all(OPEN_BACKOFF.longest / 2 <= wait <= OPEN_BACKOFF.longest for wait in waits[5:])
    await slowly.close()


async def test_what_a_person_must_mend_ends_the_wait(
    tower: Processes, slowly: SlowlyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A `ConfigError` is an end, whenever it is found out."""
    later = await opening_of(slowly, tower.clock).start(nothing, nothing)
    assert later is not None

    async def refuse(_: SlowlyStore, _tables: MetaData | None = None) -> None:
        raise ConfigError("database shop refuses this user")

    monkeypatch.setattr(SlowlyStore, "open", refuse)
    with pytest.raises(ConfigError, match="refuses this user"):
        await later


async def test_a_process_that_was_late_goes_on(tower: Processes, store: LeasedStore) -> None:
    """RULES 4.1: it holds a new lease and looks again; others that were late too have time to renew."""
    looks, why = list[str](), list[str]()
    runtime = runtime_of("bells", store, tower.clock)
    holding = asyncio.get_running_loop().create_task(
        hold_lease(runtime, lambda: looks.append("look"), why.append, nothing)
    )
    store.held, store.left = False, 3
    await asyncio.sleep(1.5 * RENEW_SECONDS)
    assert (looks, store.left) == (["look"], 3)
    store.held = True
    await asyncio.sleep(RENEW_SECONDS)
    assert (looks, store.left) == (["look", "look"], 0)
    holding.cancel()


async def test_a_service_holds_its_lease(tower: Processes, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 4.1: the running service renews; where it was late it says so and works on."""
    worker = await tower.start(bells.using(World()))
    await tower.advance(timedelta(seconds=3 * RENEW_SECONDS))
    assert worker.live

    late: list[float] = []

    async def over(_: FaultyStore) -> bool:
        late.append(asyncio.get_running_loop().time())
        return False

    monkeypatch.setattr(FaultyStore, "renew", over)
    await tower.advance(timedelta(seconds=2 * RENEW_SECONDS))
    assert late
    assert worker.live
    assert worker.health() == []
