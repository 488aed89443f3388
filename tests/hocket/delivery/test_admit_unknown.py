"""Station admit, where the outcome of its own commit is unknown, or the `begun` of one step cannot be written."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from hocket.errors import StoreError
from hocket.saga.ledger import LedgerRow
from hocket.store.records import Ending, Written
from hocket.store.sqlite.transaction import SqliteKitTx, SqliteTx
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
    commit_well, told = store.transaction, False

    @asynccontextmanager
    async def commit_and_not_tell(lease: float | None = None) -> AsyncIterator[SqliteTx]:
        nonlocal told
        async with commit_well(lease) as tx:
            yield tx
        if not told:
            told = True
            raise StoreError("the answer was lost")

    store.transaction = commit_and_not_tell  # type: ignore[method-assign]
    await tower.post.publish([message_of(Rung(name="a"), "k1", tower.clock)])
    await tower.quiet()
    assert told
    assert world.attempts == [1]
    assert [each["outcome"] for each in tower.receipts()] == ["handled"]


class _Refusing:
    """A transaction of the kit's that cannot write the ledger row of one scope."""

    def __init__(self, tx: SqliteKitTx, error: Exception) -> None:
        self._tx, self._error = tx, error

    async def ledger(self, runs: Sequence[str]) -> dict[str, LedgerRow | None]:
        return await self._tx.ledger(runs)

    async def write(self, endings: Sequence[Ending]) -> list[Written]:
        if any(row.scope == '["bad"]' for each in endings for row in each.ledger):
            raise self._error
        return await self._tx.write(endings)


@pytest.mark.parametrize("error", [ValueError("a NUL in the scope"), StoreError("refused by a trigger")])
async def test_a_step_that_cannot_begin_is_its_own_failure(tower: Processes, error: Exception) -> None:
    """RULES 3.2: the steps beside it begin; it uses its attempts, in which nothing began, and is buried."""
    world = World(behave=toll)
    worker = await tower.start(steps.using(world))
    store = store_of(worker)
    begin_well = store.kit_transaction

    @asynccontextmanager
    async def refuses_one() -> AsyncIterator[_Refusing]:
        async with begin_well() as tx:
            yield _Refusing(tx, error)

    store.kit_transaction = refuses_one  # type: ignore[method-assign, assignment]
    await tower.post.publish([message_of(Rung(name=name), name, tower.clock) for name in ("k1", "bad", "k2")])
    await tower.advance(LONG)
    assert world.attempts == [1, 1]
    words = [(each["event"]["id"], each["outcome"]) for each in tower.receipts()]
    assert [word for id, word in words if id == "bad"] == ["retry"] * 4 + ["dead"]
    assert sorted(id for id, word in words if word == "handled") == ["k1", "k2"]
    assert worker.live
    assert worker.health() == []
