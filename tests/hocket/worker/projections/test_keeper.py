"""Generations begin, are filled from the log, are swapped in and dropped, on SQLite under virtual time."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import inspect

from hocket import Tx
from hocket.config import Config
from hocket.delivery.projecting import rows as generation_rows
from hocket.delivery.projecting.generations import Generation
from hocket.errors import NotYetRead
from hocket.worker.worker import Worker
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.view_service import counts, reading, ring_service

#: Enough for the marker, and for the comparison.
FILLED = timedelta(seconds=90)
#: An old generation ends soon.
QUICK = Config.model_construct(projection_grace_seconds=300.0, projection_removal_seconds=200.0)


async def generations(worker: Worker) -> list[Generation]:
    """The rows as they stand."""
    async with worker.runtime.store.read() as connection:
        return await generation_rows.rows_of(connection, "view")


async def states(worker: Worker) -> dict[int, str]:
    """The states by number."""
    return {each.n: str(each.state) for each in await generations(worker)}


async def tables(worker: Worker) -> set[str]:
    """The tables of the service's own."""
    async with worker.runtime.store.read() as connection:
        names = await connection.run_sync(lambda plain: inspect(plain).get_table_names())
    return {each for each in names if not each.startswith("hocket_")}


async def test_the_first_generation_begins_by_itself(tower: Processes) -> None:
    """RULES 14.1: it serves at once, and hears the log; other tables are made under their own name, its own are not."""
    for n in range(20):
        await tower.hear(Rung(name=f"a{n % 3}"), f"k{n}")
    worker = await tower.start(ring_service(1))
    await tower.advance(FILLED)
    for n in range(20, 30):
        await tower.hear(Rung(name=f"a{n % 3}"), f"k{n}")
    await tower.quiet()
    assert await counts(worker, 1) == {"a0": 10, "a1": 10, "a2": 10}
    assert await states(worker) == {1: "serving"}
    assert await tables(worker) == {"others", "rings__1"}
    assert worker.health() == []


async def test_a_higher_version_is_built_beside_and_swapped_in(tower: Processes) -> None:
    """RULES 14.2, 14.3: until it has all, the process is not ready and the one before serves, standing still."""
    worker = await tower.start(ring_service(1))
    await tower.advance(FILLED)
    for n in range(20):
        await tower.hear(Rung(name="a"), f"k{n}")
    await tower.quiet()
    await tower.stop("shop")
    worker = await tower.start(ring_service(2))
    await tower.quiet()
    assert await states(worker) == {1: "serving", 2: "building"}
    assert await counts(worker, 2) == {"a": 20}
    [reason] = worker.health()
    assert "version 2 of projection shop.view is being built" in reason
    await tower.advance(FILLED)
    assert await counts(worker, 2) == {"a": 40}
    assert await states(worker) == {1: "old", 2: "serving"}
    assert worker.health() == []


async def test_both_versions_hear_while_both_are_declared(tower: Processes) -> None:
    """RULES 14.3: where the old handler stays in the code, what serves goes on hearing, and the process is ready."""
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.stop("shop")
    worker = await tower.start(ring_service(1, 2))
    await tower.hear(Rung(name="a"), "k1")
    await tower.quiet()
    assert await counts(worker, 2) == {"a": 1}
    assert worker.health() == []
    await tower.advance(FILLED)
    assert await counts(worker, 2) == {"a": 2}
    await tower.hear(Rung(name="a"), "k2")
    await tower.quiet()
    assert await counts(worker, 1) == {"a": 2}  # an old process still reads its own, which is fed for the grace
    assert await counts(worker, 2) == {"a": 4}


async def test_an_old_generation_is_dropped_after_its_grace(tower: Processes) -> None:
    """RULES 14.4: first the state, then, when that is not young any more, its queue and its tables."""
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.stop("shop")
    worker = await tower.start(ring_service(1, 2), QUICK)
    await tower.advance(FILLED)
    assert await states(worker) == {1: "old", 2: "serving"}
    await asyncio.sleep(QUICK.projection_grace_seconds + 2)
    assert await states(worker) == {1: "dropped", 2: "serving"}
    assert await tables(worker) == {"others", "rings__1", "rings__2"}
    assert "shop.view@1.ordered" in tower.broker.names()
    await asyncio.sleep(QUICK.projection_removal_seconds + 2)
    assert await states(worker) == {1: "gone", 2: "serving"}
    assert await tables(worker) == {"others", "rings__2"}
    assert not [each for each in tower.broker.names() if each.startswith("shop.view@1")]
    with pytest.raises(NotYetRead, match="version 2 serves"):
        await counts(worker, 1)


async def test_what_dies_in_the_new_one_holds_the_swap(tower: Processes) -> None:
    """RULES 14.2: an open letter is named, until it is replayed; a queue that is empty is no proof."""
    broken = True

    async def before(rung: Rung, tx: Tx) -> None:
        if broken and rung.name == "b":
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
    [letter] = tower.letters()
    [_, new] = await generations(worker)
    assert "1 of 2 events that the one before has handled are dead letters in it (first k2, k3)" in new.note
    assert "k2" in worker.health()[0]
    broken = False
    death = str(letter.headers["hocket-death-id"])
    await worker.send("shop.view@2", letter.body, letter.content_type, replay=death, attempt=2)
    await tower.advance(timedelta(seconds=60))
    assert await states(worker) == {1: "old", 2: "serving"}
    assert await counts(worker, 2) == {"a": 4, "b": 2}


async def test_a_version_that_was_given_up_is_dropped_by_the_next(tower: Processes) -> None:
    """RULES 14.5: the one being built becomes dropped with the begin of the next, and never serves."""
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.hear(Rung(name="a"), "k1")
    await tower.quiet()
    await tower.stop("shop")
    worker = await tower.start(ring_service(2))
    await tower.quiet()
    await tower.stop("shop")
    worker = await tower.start(ring_service(3))
    await tower.quiet()
    assert await states(worker) == {1: "serving", 2: "dropped", 3: "building"}
    await tower.advance(FILLED)
    assert await states(worker) == {1: "old", 2: "dropped", 3: "serving"}
    assert await counts(worker, 3) == {"a": 3}


async def test_an_interrupted_build_goes_on(tower: Processes) -> None:
    """RULES 14.5: a process that is killed while it builds leaves what the next one ends; each event counts once."""
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    for n in range(300):
        await tower.hear(Rung(name="a"), f"k{n}")
    await tower.quiet()
    await tower.kill("shop")
    worker = await tower.start(ring_service(2))
    for _ in range(4):
        await asyncio.sleep(0.7)
        await tower.kill("shop")
        worker = await tower.start(ring_service(2))
    await tower.advance(FILLED)
    assert await counts(worker, 2) == {"a": 600}
    assert await states(worker) == {1: "old", 2: "serving"}


async def test_an_old_process_reads_its_own_version_for_the_grace(tower: Processes) -> None:
    """RULES 14.4: the view says which version it is."""
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.stop("shop")
    worker = await tower.start(ring_service(1, 2))
    await tower.advance(FILLED)
    async with reading(worker, 1) as old, reading(worker, 2) as new:
        assert (old.version, new.version) == (1, 2)


async def test_a_process_that_can_read_nothing_is_not_ready(tower: Processes) -> None:
    """RULES 14.3, 14.5: a release that was taken back, whose version serves no more; nobody is to be sent to it."""
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.stop("shop")
    await tower.start(ring_service(3))
    await tower.advance(FILLED)
    await tower.stop("shop")
    lowered = await tower.start(ring_service(2))
    await tower.advance(FILLED)
    [reason] = lowered.health()
    assert "version 3 of projection shop.view serves, and this process has the code of version 2" in reason
    await tower.stop("shop")
    graced = await tower.start(ring_service(1))  # its generation is fed for the grace
    await tower.advance(FILLED)
    assert graced.health() == []


def test_config_bounds() -> None:
    """RULES 14.4: one hour of grace, and ten minutes before anything is removed."""
    config = Config.model_construct()
    assert (config.projection_grace_seconds, config.projection_removal_seconds) == (3600, 600)
