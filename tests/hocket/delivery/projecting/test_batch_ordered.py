"""Batches of an ordered generation: several events of a subject in one, and what a failure takes out of it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select

from hocket import Service, Tx
from hocket.delivery.ordering.runner import OrderedRunner
from hocket.store.ordering.tokens import lines_of, take
from hocket.worker import Worker
from tests.hocket.sample_services import BRIEF, Ill, Processes, Rung

meta = MetaData()
struck = Table("struck", meta, Column("id", Integer, primary_key=True), Column("name", Text, nullable=False))
FILLED = timedelta(seconds=90)


class Clock:
    """A service whose projection notes what strikes, and what fails there."""

    def __init__(self, **options: Any) -> None:
        self.ill: set[str] = set()
        self.options = options
        self.transactions: list[tuple[str, int]] = []

    def service(self) -> Service[None]:
        """The service."""
        service = Service("clock", owner="team", tables=meta)

        @service.projection(struck, retry=BRIEF, **self.options)
        async def strikes(rung: Rung, tx: Tx) -> None:
            db = await tx.db()
            self.transactions.append((rung.name, id(db)))
            await db.execute(insert(tx.table(struck)).values(name=rung.name))
            if rung.name in self.ill:
                raise Ill(rung.name)

        return service


async def start(tower: Processes, clock: Clock) -> Worker:
    """A process whose generation is live, and folds nothing for the next seconds."""
    worker = await tower.start(clock.service())
    await tower.advance(FILLED)
    [runner] = worker.runners.values()
    assert runner.batches is not None
    runner.batches.paused_until = worker.runtime.clock.monotonic() + 5
    return worker


async def say(tower: Processes, *names: str) -> None:
    """Events whose subject is the first letter of their names."""
    for name in names:
        await tower.hear(Rung(name=name), f"key of {name}", subject=f"bell/{name[0]}")


async def rows(worker: Worker, letter: str = "") -> list[str]:
    """The read model in the order of its rows; of one subject."""
    table = struck.to_metadata(MetaData(), name="struck__1")
    async with worker.runtime.store.read() as db:
        names = (await db.execute(select(table.c.name).order_by(table.c.id))).scalars().all()
    return [name for name in names if name.startswith(letter)]


async def test_what_follows_a_failed_one_leaves_the_batch_with_it(tower: Processes) -> None:
    """RULES 14.1, 9.4: its subject waits for its retries, in order; all the others are folded together."""
    clock = Clock()
    worker = await start(tower, clock)
    clock.ill = {"a3"}
    every = [f"{letter}{n}" for n in range(9) for letter in "ab"]
    await say(tower, *every)
    await tower.quiet()
    assert await rows(worker, "b") == [f"b{n}" for n in range(9)]
    assert await rows(worker, "a") == ["a0", "a1", "a2"]
    assert (await lines_of(worker.runtime.store, "clock.strikes@1", ["bell/a"]))["bell/a"].waiting == 5
    later = [name for name, _ in clock.transactions[clock.transactions.index(next(
        each for each in reversed(clock.transactions) if each[0] == "a3")) :] if name[0] == "a"]  # fmt: skip
    assert later == ["a3"], "nothing of its subject runs behind it"
    clock.ill.clear()
    await tower.advance(timedelta(seconds=10))
    assert await rows(worker, "a") == [f"a{n}" for n in range(9)]
    await say(tower, "a9")
    await tower.quiet()
    assert (await rows(worker, "a"))[-1] == "a9"


async def test_a_hot_subject_is_folded_in_one_transaction(tower: Processes) -> None:
    """RULES 14.1, 9.9: many of one subject stand in one batch, and none of them is parked."""
    clock = Clock()
    worker = await start(tower, clock)
    await say(tower, *[f"a{n}" for n in range(60)])
    await tower.quiet()
    assert await rows(worker) == [f"a{n}" for n in range(60)]
    assert len({transaction for _, transaction in clock.transactions}) == 1
    assert {each["outcome"] for each in tower.receipts() if each["kind"] == "receipt"} == {"handled"}


async def test_a_lost_token_ends_the_batch(tower: Processes) -> None:
    """RULES 9.1, 14.1: what was folded under it is rolled back, and what is in hand comes again, in order."""
    clock = Clock()
    worker = await start(tower, clock)
    [runner] = worker.runners.values()
    assert isinstance(runner, OrderedRunner)
    await say(tower, *[f"a{n}" for n in range(20)])
    token, store = runner.lane.token, worker.runtime.store
    assert await take(store, "clock.strikes@1", "somebody", 1.0, token) is not None
    await tower.advance(timedelta(seconds=20))
    assert runner.lane.token > token + 1
    assert await rows(worker) == [f"a{n}" for n in range(20)]
    assert len(clock.transactions) > 20, "the first batch was folded without the token, and left nothing"


async def test_an_older_value_ends_stale(tower: Processes) -> None:
    """RULES 15.1, 14.1: also where the newer one stands in the same batch."""
    clock = Clock(latest_by="name")
    worker = await start(tower, clock)
    await say(tower, "a1", "a5", "a3", "a6", "b1")
    await tower.quiet()
    assert await rows(worker, "a") == ["a1", "a5", "a6"]
    assert await rows(worker, "b") == ["b1"]
    assert [each["event"]["id"] for each in tower.receipts() if each["outcome"] == "stale"] == ["key of a3"]


@pytest.mark.parametrize("ordered", [False, "skip"])
async def test_without_order_a_failed_one_holds_nobody(tower: Processes, ordered: Any) -> None:
    """RULES 14.1, 9.7: with `ordered=False` nothing waits, with "skip" until it is dead."""
    clock = Clock(ordered=ordered)
    worker = await start(tower, clock)
    assert [*worker.runners] == ["clock.strikes@1" if ordered is False else "clock.strikes@1.ordered"]
    clock.ill = {"a1"}
    await say(tower, "a0", "a1", "a2")
    await tower.quiet()
    assert ("a2" in await rows(worker)) is (ordered is False)
    await tower.advance(timedelta(seconds=60))
    assert await rows(worker) == ["a0", "a2"]
    assert len(tower.letters()) == 1
