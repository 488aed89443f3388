"""Deliveries of a generation are folded in batches; what fails leaves the batch and is an attempt of its own."""

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from hocket import Tx
from hocket.delivery.projecting import batch
from hocket.store.tables.generations import GENERATIONS
from hocket.worker.worker import Worker
from tests.hocket.sample_services import Processes, Rung
from tests.hocket.worker.projections.view_service import count, counts, ring_service

FILLED = timedelta(seconds=90)


class Transactions:
    """Counts the store's transactions in which a handler ran."""

    def __init__(self) -> None:
        self.seen: dict[int, int] = {}

    async def before(self, rung: Rung, tx: Tx) -> None:
        """Note the connection of this run."""
        connection = await tx.db()
        await connection.execute(select(GENERATIONS.c.n))
        self.seen[id(connection)] = self.seen.get(id(connection), 0) + 1


async def lane_of(tower: Processes, worker: Worker) -> batch.BatchLane:
    """The lane of the first generation, once it is live."""
    await tower.advance(FILLED)
    lane = worker.runners["shop.view@1.ordered"].batches
    assert lane is not None
    return lane


async def test_a_batch_is_one_transaction(tower: Processes) -> None:
    """RULES 14.1: what waits together is folded together, at most 256 of them."""
    noted = Transactions()
    worker = await tower.start(ring_service(1, before=noted.before))
    lane = await lane_of(tower, worker)
    lane.paused_until = worker.runtime.clock.monotonic() + 5
    for n in range(100):
        await tower.hear(Rung(name="a"), f"k{n}")
    await tower.quiet()
    assert await counts(worker, 1) == {"a": 100}
    assert max(noted.seen.values()) >= 90, "nearly all of them were in one transaction"
    assert lane.folded == 100


async def test_what_fails_leaves_the_batch(tower: Processes) -> None:
    """RULES 14.1: each failure is that delivery's own attempt and letter, and leaves nothing; the others are folded."""

    async def before(rung: Rung, tx: Tx) -> None:
        if rung.name.startswith("bad"):
            raise ValueError(rung.name)

    worker = await tower.start(ring_service(1, before=before))
    lane = await lane_of(tower, worker)
    lane.paused_until = worker.runtime.clock.monotonic() + 5
    for n in range(60):
        await tower.hear(Rung(name=f"bad{n}" if n in {7, 8, 40} else "a"), f"k{n}", subject=f"ring/{n}")
    await tower.advance(timedelta(seconds=300))
    assert await counts(worker, 1) == {"a": 57}
    assert len(tower.letters()) == 3
    outcomes = [each["outcome"] for each in tower.receipts() if each["outcome"] not in {"handled", "duplicate"}]
    assert outcomes.count("dead") == 3


@pytest.mark.parametrize("error", [SystemExit(3), asyncio.CancelledError(), BaseException("odd")])
async def test_what_would_end_the_process_leaves_the_batch(tower: Processes, error: BaseException) -> None:
    """RULES 14.1, 5.1: as in a handler it is a failed attempt of that delivery, whatever the team's code raises."""

    async def before(rung: Rung, tx: Tx) -> None:
        if rung.name == "bad":
            raise error

    worker = await tower.start(ring_service(1, before=before, ordered="skip"))
    lane = await lane_of(tower, worker)
    lane.paused_until = worker.runtime.clock.monotonic() + 5
    for n in range(20):
        await tower.hear(Rung(name="bad" if n in {7, 8} else "a"), f"k{n}")
    await tower.advance(timedelta(seconds=60))
    assert await counts(worker, 1) == {"a": 18}
    assert len(tower.letters()) == 2


async def test_what_fails_after_it_has_written_leaves_nothing(tower: Processes) -> None:
    """RULES 14.1: with the savepoint of a careful batch, and without."""
    failing = True

    async def before(rung: Rung, tx: Tx) -> None:
        if rung.name == "b" and failing:
            await count(tx, "lost", 1)
            raise ValueError("no")

    worker = await tower.start(ring_service(1, before=before))
    lane = await lane_of(tower, worker)
    for round_ in range(3):
        lane.paused_until = worker.runtime.clock.monotonic() + 5
        for n in range(5):
            await tower.hear(Rung(name="b" if n == 2 else "a"), f"k{round_}.{n}", subject=f"ring/{round_}/{n}")
        await tower.advance(timedelta(seconds=200))
    assert await counts(worker, 1) == {"a": 12}
    assert len(tower.letters()) == 3


async def test_a_copy_that_was_handled_meanwhile_is_taken_out(tower: Processes) -> None:
    """RULES 14.1, 3.1: where an inbox row is final already the batch goes again without it, and it counts once."""
    worker = await tower.start(ring_service(1))
    lane = await lane_of(tower, worker)
    for _ in range(3):
        lane.paused_until = worker.runtime.clock.monotonic() + 5
        await tower.hear(Rung(name="a"), "k1")
        await tower.hear(Rung(name="b"), "k2")
        await tower.quiet()
    assert await counts(worker, 1) == {"a": 1, "b": 1}
    assert tower.letters() == []


async def test_an_older_value_is_stale_also_within_a_batch(tower: Processes) -> None:
    """RULES 14.1, 15.1: what loses by `latest_by` leaves the batch and counts nowhere; the newer one stays."""
    worker = await tower.start(ring_service(1, latest_by="name"))
    lane = await lane_of(tower, worker)
    lane.paused_until = worker.runtime.clock.monotonic() + 5
    for key, name in (("k1", "b"), ("k2", "a"), ("k3", "c")):
        await tower.hear(Rung(name=name), key)
    await tower.advance(timedelta(seconds=30))
    await tower.hear(Rung(name="a"), "k4")
    await tower.quiet()
    assert await counts(worker, 1) == {"b": 1, "c": 1}
    assert [each["outcome"] for each in tower.receipts()].count("stale") == 2
