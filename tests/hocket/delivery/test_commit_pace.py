"""How long attempts wait for each other before they are committed."""

import asyncio
from collections.abc import Sequence

import pytest

from hocket import Tx
from hocket.delivery.commit import PACE, SILENT_PACE
from hocket.store.records import Ending
from tests.hocket.sample_services import Echoed, FaultyStore, Processes, Rung, World, bells


async def test_who_says_nothing_waits_for_company(tower: Processes) -> None:
    """After a commit those who said nothing gather for longer than one who says something lets them."""
    commits: list[tuple[float, int]] = []

    async def speaks(rung: Rung, tx: Tx[World]) -> Echoed | None:
        return Echoed(name=rung.name) if rung.name == "loud" else None

    worker = await tower.start(bells.using(World(behave=speaks)))
    await tower.quiet()

    def seen(endings: Sequence[Ending]) -> None:
        commits.append((tower.clock.monotonic(), len(endings)))

    assert isinstance(worker.runtime.store, FaultyStore)
    worker.runtime.store.refuses = seen
    for key in ("k1", "k2", "k3"):
        await tower.hear(Rung(name="a"), key)
        await asyncio.sleep(SILENT_PACE / 5)
    await tower.quiet()
    (first, one), (then, two) = commits
    assert (one, two) == (1, 2)
    assert then - first == pytest.approx(SILENT_PACE)
    commits.clear()
    for name in ("a", "b", "loud"):
        await tower.hear(Rung(name=name), name)
        await asyncio.sleep(PACE / 5)
    await tower.quiet()
    (first, one), (then, two) = commits
    assert (one, two) == (1, 2)
    assert then - first == pytest.approx(PACE)
