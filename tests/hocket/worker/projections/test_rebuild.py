"""`hocket rebuild`: begins the next generation of what serves, shows all, and refuses what makes no sense."""

from datetime import timedelta

import pytest

from hocket import Tx
from hocket.worker.http.operator import CommandRefused
from hocket.worker.projections.rebuild import RebuildCommand
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.test_keeper import states
from tests.hocket.worker.projections.view_service import counts, ring_service

FILLED = timedelta(seconds=90)


async def test_a_rebuild_is_a_generation_of_the_same_version(tower: Processes) -> None:
    """RULES 14.1: it is built beside what serves and swapped in; one at a time, unless the first is given up."""
    worker = await tower.start(ring_service(1))
    await tower.advance(FILLED)
    for key in ("k1", "k2"):
        await tower.hear(Rung(name="a"), key)
    await tower.quiet()
    command = RebuildCommand(worker.runtime.store)
    begun = await command({"do": "begin", "projection": "view"})
    assert begun["generation"]["n"] == 2
    with pytest.raises(CommandRefused, match="generation 2 of view is being built already"):
        await command({"do": "begin", "projection": "view"})
    await command({"do": "begin", "projection": "view", "again": True})
    assert await states(worker) == {1: "serving", 2: "dropped", 3: "building"}
    assert await counts(worker, 1) == {"a": 2}
    assert worker.health() == []
    await tower.advance(FILLED)
    assert await states(worker) == {1: "old", 2: "dropped", 3: "serving"}
    assert await counts(worker, 1) == {"a": 2}
    shown = (await command({"do": "list", "projection": "view"}))["generations"]
    assert [(each["n"], each["state"]) for each in shown] == [(1, "old"), (2, "dropped"), (3, "serving")]


async def test_what_is_refused(tower: Processes) -> None:
    """An unknown projection is answered with those there are; nothing is swapped in where nothing is built."""
    worker = await tower.start(ring_service(1))
    await tower.quiet()
    command = RebuildCommand(worker.runtime.store)
    with pytest.raises(CommandRefused, match="no projection veiw that serves; it has view"):
        await command({"do": "begin", "projection": "veiw"})
    with pytest.raises(CommandRefused, match="no generation of view is being built"):
        await command({"do": "swap", "projection": "view"})
    with pytest.raises(CommandRefused, match="knows list, begin and swap only"):
        await command({"do": "dance", "projection": "view"})


async def test_a_person_swaps_in_what_a_dead_one_holds(tower: Processes) -> None:
    """RULES 14.2: what waits behind a dead one of its subject holds the swap, until a person lets it serve."""

    async def before(rung: Rung, tx: Tx) -> None:
        if rung.name == "b":
            raise ValueError("no")

    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    for name, key in (("a", "k1"), ("b", "k2"), ("a", "k3")):
        await tower.hear(Rung(name=name), key)
    await tower.quiet()
    await tower.stop("shop")
    worker = await tower.start(ring_service(2, before=before))
    await tower.advance(FILLED)
    assert await states(worker) == {1: "serving", 2: "building"}
    await RebuildCommand(worker.runtime.store)({"do": "swap", "projection": "view"})
    await tower.advance(FILLED)
    assert await states(worker) == {1: "old", 2: "serving"}
    assert await counts(worker, 2) == {"a": 2}
