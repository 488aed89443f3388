"""The timeout that all runs of one subscription share."""

import asyncio
import gc
import weakref

import pytest

from hocket.resilience.pauses import Pauses
from hocket.resilience.time_limit import TimeLimit

SHORT, LONG = 0.02, 60.0


async def test_a_run_that_lasts_too_long_ends_with_a_timeout() -> None:
    """As `asyncio.timeout`: the run is cancelled at its await, and what leaves the block is a `TimeoutError`."""
    with pytest.raises(TimeoutError), TimeLimit(SHORT, Pauses()).run():
        await asyncio.Event().wait()
    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_the_error_names_the_limit() -> None:
    """An operator tells the subscription's own timeout from one that a call of the handler raised without a word."""
    said = r"not ended within 0\.02 s, the timeout of its subscription"
    with pytest.raises(TimeoutError, match=said), TimeLimit(SHORT, Pauses()).run():
        await asyncio.Event().wait()


async def test_each_run_has_its_own_time() -> None:
    """Runs expire in order of start; a run that ends in time is not cancelled when others expire."""
    limit, ended = TimeLimit(SHORT, Pauses()), []

    async def run(name: str, until: asyncio.Event) -> None:
        try:
            with limit.run():
                await until.wait()
        except TimeoutError:
            ended.append(name)
        else:
            ended.append(f"{name} in time")

    never, soon = asyncio.Event(), asyncio.Event()
    tasks = [asyncio.create_task(run("a", never)), asyncio.create_task(run("b", soon))]
    await asyncio.sleep(0)
    soon.set()
    await asyncio.gather(*tasks)
    await run("c", never)
    assert ended == ["b in time", "a", "c"]


async def test_a_cancellation_from_outside_stays_one() -> None:
    """Only a cancellation by the limit becomes a `TimeoutError`."""
    started = asyncio.Event()

    async def run() -> None:
        with TimeLimit(LONG, Pauses()).run():
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(run())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_timeout_of_the_run_itself_goes_first() -> None:
    """A shorter timeout inside the block expires first and is not the limit's."""
    with TimeLimit(LONG, Pauses()).run():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()
        await asyncio.sleep(0)


async def test_what_a_run_raises_goes_through() -> None:
    """Another error stays what it is, also when the run expired and raised it on the way out."""
    with pytest.raises(KeyError), TimeLimit(LONG, Pauses()).run():
        raise KeyError("k")

    async def turn() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise KeyError("k") from None

    with pytest.raises(KeyError), TimeLimit(SHORT, Pauses()).run():
        await turn()


async def test_ended_runs_are_not_remembered() -> None:
    """However many runs end within the time, one timer stands and no run is kept."""
    deadlines = TimeLimit(LONG, Pauses())
    seen = []

    async def one() -> None:
        with deadlines.run():
            task = asyncio.current_task()
            assert task is not None
            seen.append(weakref.ref(task))

    for _ in range(100):
        await asyncio.create_task(one())
    await asyncio.sleep(0)
    gc.collect()
    assert not [task for ref in seen if (task := ref()) is not None]
