"""Watches that nobody ends."""

from datetime import timedelta

from sqlalchemy import func, select

from hocket.delivery.projecting import rows
from hocket.store.tables.generations import FRESH_FACTS
from hocket.worker.projections.watching import WATCH_SECONDS
from hocket.worker.worker import Worker
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.test_keeper import FILLED, generations
from tests.hocket.worker.projections.view_service import ring_service


async def noted(worker: Worker) -> int:
    """How many facts were noted for a comparison."""
    async with worker.runtime.store.read() as db:
        return int((await db.execute(select(func.count()).select_from(FRESH_FACTS))).scalar_one())


async def test_a_watch_that_was_left_behind_is_ended(tower: Processes) -> None:
    """RULES 14.2: a process died while it compared, and its release was taken back: nothing is noted for ever."""
    worker = await tower.start(ring_service(1))
    await tower.advance(FILLED)
    [serving] = await generations(worker)
    async with worker.runtime.store.transaction() as tx:
        await rows.write(await tx.db(), [serving], [serving._replace(watched=1)], 0.0)
    for n in range(5):
        await tower.hear(Rung(name="a"), f"k{n}")
    await tower.quiet()
    assert await noted(worker) == 5
    await tower.advance(timedelta(seconds=WATCH_SECONDS + 60))
    assert await noted(worker) == 0
    await tower.hear(Rung(name="a"), "k9")
    await tower.quiet()
    assert await noted(worker) == 0
