"""A generation whose history the log no longer holds is refused, or filled by `seed=` from the one before."""

import asyncio
from datetime import timedelta

from sqlalchemy import insert, select

from hocket import Tx
from hocket.broker.topology import LOG
from hocket.worker.projections.rebuild import RebuildCommand
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.test_keeper import generations, states
from tests.hocket.worker.projections.view_service import counts, ring_service, rows

FILLED = timedelta(seconds=90)


async def double(tx: Tx) -> None:
    """Fill the tables of version 2 from those of version 1."""
    db = await tx.db()
    for row in (await db.execute(select(tx.former(rows)))).all():
        await db.execute(insert(tx.table(rows)), {"name": row.name, "many": row.many * 2})


async def cut(tower: Processes) -> None:
    """A projection of version 1 that has heard three events, of which the log holds the last."""
    for name, key in (("a", "k1"), ("b", "k2"), ("a", "k3")):
        await tower.hear(Rung(name=name), key)
    await tower.start(ring_service(1))
    await tower.advance(FILLED)
    await tower.stop("shop")
    tower.broker.truncate(LOG, 2)


async def test_history_that_is_gone_is_refused(tower: Processes) -> None:
    """RULES 14.9: the build names the oldest moment of both, and the way out; a person may let it go on without."""
    await cut(tower)
    worker = await tower.start(ring_service(2))
    await tower.advance(FILLED)
    [_, new] = await generations(worker)
    assert (str(new.state), new.made) == ("building", False)
    assert "the log holds nothing that was said before" in new.note
    assert "give seed=" in new.note
    assert new.note in worker.health()[0]
    await RebuildCommand(worker.runtime.store)({"do": "swap", "projection": "view"})
    await tower.advance(FILLED + timedelta(seconds=60))
    assert await states(worker) == {1: "old", 2: "serving"}
    assert await counts(worker, 2) == {"a": 2}


async def test_a_seed_fills_what_the_log_lacks(tower: Processes) -> None:
    """RULES 14.9: what the one before has handled is in the seed, and is not counted again when the log has it too."""
    await cut(tower)
    worker = await tower.start(ring_service(2, seed=double))
    await tower.advance(FILLED)
    assert await counts(worker, 2) == {"a": 4, "b": 2}
    assert await states(worker) == {1: "old", 2: "serving"}
    await tower.hear(Rung(name="b"), "k4")
    await tower.quiet()
    assert await counts(worker, 2) == {"a": 4, "b": 4}


async def test_a_seed_that_fails_leaves_nothing(tower: Processes) -> None:
    """RULES 14.9: tables, seed and facts are one transaction, which is tried again."""
    tries = 0

    async def broken(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        await double(tx)
        if tries < 4:
            raise [ValueError("not yet"), SystemExit(3), asyncio.CancelledError()][tries - 1]

    await cut(tower)
    worker = await tower.start(ring_service(2, seed=broken))
    await tower.advance(FILLED + timedelta(seconds=180))
    assert tries == 4
    assert await counts(worker, 2) == {"a": 4, "b": 2}
    await asyncio.sleep(0)
