"""Station admit, where the outcome of its own commit is unknown."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hocket.errors import StoreError
from hocket.store.sqlite.transaction import SqliteTx
from tests.hocket.delivery.test_commit import store_of
from tests.hocket.sample_services import Processes, Rung, Tolled, World, message_of, steps


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
