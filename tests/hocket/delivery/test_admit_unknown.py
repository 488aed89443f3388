"""Station admit, where the outcome of its own commit is unknown, or the `begun` of one step cannot be written."""

from collections.abc import Sequence
from typing import Any

import pytest

from hocket.errors import StoreError
from hocket.saga.ledger import LedgerRow
from hocket.store.records import Admitted
from tests.hocket.delivery.test_commit import store_of
from tests.hocket.sample_services import LONG, Processes, Rung, Tolled, World, message_of, steps


async def toll(rung: Rung, tx: object) -> Tolled:
    """The step does what it is for."""
    return Tolled(name=rung.name)


async def test_a_step_whose_begun_was_committed_unknowingly_goes_on(tower: Processes) -> None:
    """RULES 3.2, 5.2: admitted again after a commit of unknown outcome it is the same run, and waits for nobody."""
    world = World(behave=toll)
    worker = await tower.start(steps.using(world))
    store = store_of(worker)
    begin_well, told = store.admit, False

    async def begin_and_not_tell(*asked: Any) -> Admitted:
        nonlocal told
        found = await begin_well(*asked)
        if not told:
            told = True
            raise StoreError("the answer was lost")
        return found

    store.admit = begin_and_not_tell  # type: ignore[method-assign, assignment]
    await tower.post.publish([message_of(Rung(name="a"), "k1", tower.clock)])
    await tower.quiet()
    assert told
    assert world.attempts == [1]
    assert [each["outcome"] for each in tower.receipts()] == ["handled"]


@pytest.mark.parametrize("error", [ValueError("a NUL in the scope"), StoreError("refused by a trigger")])
async def test_a_step_that_cannot_begin_is_its_own_failure(tower: Processes, error: Exception) -> None:
    """RULES 3.2: the steps beside it begin; it uses its attempts, in which nothing began, and is buried."""
    world = World(behave=toll)
    worker = await tower.start(steps.using(world))
    store = store_of(worker)
    begin_well = store.admit

    async def refuses_one(keys: Sequence[bytes], begins: Sequence[LedgerRow], runs: Sequence[str]) -> Admitted:
        if any(row.scope == '["bad"]' for row in begins):
            raise error
        return await begin_well(keys, begins, runs)

    store.admit = refuses_one  # type: ignore[method-assign]
    await tower.post.publish([message_of(Rung(name=name), name, tower.clock) for name in ("k1", "bad", "k2")])
    await tower.advance(LONG)
    assert world.attempts == [1, 1]
    words = [(each["event"]["id"], each["outcome"]) for each in tower.receipts()]
    assert [word for id, word in words if id == "bad"] == ["retry"] * 4 + ["dead"]
    assert sorted(id for id, word in words if word == "handled") == ["k1", "k2"]
    assert worker.live
    assert worker.health() == []
