"""A process holds its lease, takes over what others left, and ends when its lease was over."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from hocket.errors import StoreError
from hocket.lease import Fenced, hold
from hocket.signals import Signals
from hocket.store import OWNER_RENEW_SECONDS
from tests.hocket.bells import FaultyStore, Tower, World, bells


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
async def store(tower: Tower, tmp_path: Path) -> LeasedStore:
    """A store that nobody has opened, under virtual time."""
    return LeasedStore(str(tmp_path / "leased.db"), clock=tower.clock, boot="b", inline=True)


async def test_what_others_left_is_looked_for(store: LeasedStore) -> None:
    """RULES 4.1: rows taken over are rows nobody handed to the relay; it looks again, and only then."""
    looks: list[float] = []
    loop = asyncio.get_running_loop()
    holding = loop.create_task(hold("bells", store, Signals(), lambda: looks.append(loop.time())))
    await asyncio.sleep(2.5 * OWNER_RENEW_SECONDS)
    assert looks == []
    store.left = 3
    await asyncio.sleep(2 * OWNER_RENEW_SECONDS)
    assert len(looks) == 1
    holding.cancel()


async def test_a_store_that_is_away_is_asked_again(store: LeasedStore) -> None:
    """RULES 3.2: the store's failure ends nothing; the lease is renewed when it is back."""
    store.away = True
    holding = asyncio.get_running_loop().create_task(hold("bells", store, Signals(), lambda: None))
    await asyncio.sleep(3 * OWNER_RENEW_SECONDS)
    store.away = False
    await asyncio.sleep(3 * OWNER_RENEW_SECONDS)
    assert not holding.done()
    holding.cancel()


async def test_a_fenced_process_ends(store: LeasedStore) -> None:
    """RULES 4.1: a process whose lease was over must stop; it says why."""
    store.held = False
    with pytest.raises(Fenced, match="bells"):
        await hold("bells", store, Signals(), lambda: None)


async def test_a_service_holds_its_lease(tower: Tower, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 4.1: the running service renews; without a lease it is no longer alive."""
    worker = await tower.start(bells.using(World()))
    await tower.advance(timedelta(seconds=3 * OWNER_RENEW_SECONDS))
    assert worker.live

    async def over(_: FaultyStore) -> bool:
        return False

    monkeypatch.setattr(FaultyStore, "renew", over)
    await asyncio.sleep(2 * OWNER_RENEW_SECONDS)
    assert not worker.live
    assert "lease" in worker.supervisor.failed
