"""Station handle: an error that cannot be read, and a run that does not end, are their own attempt's failure."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from hocket import Heard, Retry, Service, Tx
from hocket.errors import HocketError
from hocket.resilience.supervisor import MAX_LEFT
from tests.hocket.sample_services import LONG, Processes, Rung, World, bells, book, booked, steps, tolled, uses


class _Exits(Exception):
    def __str__(self) -> str:
        raise SystemExit(3)


class _Placeless(Exception):
    pass


_Placeless.__module__ = None  # type: ignore[assignment]  # as some generated classes have it


class _Causeless(Exception):
    @property
    def __cause__(self) -> BaseException:  # type: ignore[override]  # a broken wrapper
        raise RuntimeError("no cause")


@pytest.mark.parametrize("road", ["plain", "own transaction"])
async def test_what_swallows_the_end_of_its_time_is_left_behind(tower: Processes, road: str) -> None:
    """RULES 3.6: its attempt has failed, it holds no place and writes nothing any more, and it is named."""
    over = asyncio.Event()
    refused: list[str] = []

    async def stubborn(rung: Rung, tx: Tx[World]) -> Any:
        if rung.name != "stuck":
            return await book(rung, tx)
        if road == "own transaction":
            await (await tx.db()).execute(insert(tolled).values(name="half"))
        while not over.is_set():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                continue
        try:
            await (await tx.db()).execute(insert(tolled).values(name="late"))
        except HocketError as error:
            refused.append(str(error))

    single = Service("single", owner="team-tower", uses=uses, tables=bells.tables)

    @single.handler(concurrency=1, timeout=timedelta(seconds=3), retry=Retry(retries=0))
    async def one(rung: Rung, tx: Tx[World]) -> None:
        await tx.use.behave(rung, tx)

    worker = await tower.start(single.using(World(behave=stubborn)))
    await tower.hear(Rung(name="stuck"), "k0")
    await tower.hear(Rung(name="next"), "k1")
    await tower.advance(timedelta(seconds=30))
    assert await booked(worker) == ["next"]
    [left] = worker.runtime.tasks.left
    ends = {each["event"]["id"]: (each["outcome"], each["cause"]) for each in tower.receipts()}
    assert ends == {"k0": ("dead", "timeout"), "k1": ("handled", "")}
    over.set()
    left.cancel()
    await asyncio.wait([left])
    assert len(refused) == 1
    assert await booked(worker) == ["next"]


@pytest.mark.parametrize("kind", [_Exits, _Placeless, _Causeless])
@pytest.mark.parametrize("road", ["plain", "own transaction", "step"])
async def test_an_error_that_cannot_be_read_is_this_attempts_own(
    tower: Processes, road: str, kind: type[Exception]
) -> None:
    """RULES 3.6: what raises while the kit reads a team's error ends no task of the kit, and the attempt is counted."""

    async def fail(heard: Heard, tx: Tx[World]) -> Any:
        if road == "own transaction":
            await book(heard, tx)  # type: ignore[arg-type]
        raise kind("broken")

    worker = await tower.start((steps if road == "step" else bells).using(World(behave=fail)))
    await tower.hear(Rung(name="a"), "k0")
    await tower.advance(LONG)
    assert worker.live, worker.runtime.tasks.failed
    ends = [each["error"] for each in tower.receipts() if each["outcome"] == "dead"]
    assert len(ends) == 1
    assert kind.__name__ in ends[0]


async def test_runs_that_are_left_behind_have_a_bound(tower: Processes) -> None:
    """RULES 3.6: at the bound the subscription takes nothing more and says so; when runs end it goes on."""
    over = asyncio.Event()
    begun: list[str] = []
    others: list[str] = []

    async def stubborn(rung: Rung, tx: Tx[World]) -> Any:
        begun.append(rung.name)
        while not over.is_set():
            try:
                await over.wait()
            except asyncio.CancelledError:
                continue

    two = Service("two", owner="team-tower", uses=uses)

    @two.handler(concurrency=8, timeout=timedelta(seconds=1), retry=Retry(retries=0))
    async def stuck(rung: Rung, tx: Tx[World]) -> None:
        await tx.use.behave(rung, tx)

    @two.handler
    async def well(rung: Rung, tx: Tx[World]) -> None:
        others.append(rung.name)

    worker = await tower.start(two.using(World(behave=stubborn)))
    many = MAX_LEFT + 40
    for number in range(many):
        await tower.hear(Rung(name=f"n{number}"), f"k{number}")
    try:
        await asyncio.sleep(300)
        assert MAX_LEFT <= len(worker.runtime.tasks.left) < MAX_LEFT + 8
        assert len(begun) == len(worker.runtime.tasks.left)
        assert len(others) == many
        [reason] = worker.health()
        assert reason.startswith(f"two.stuck takes nothing more: {len(begun)} runs of test_handle_harmful.py:")
        assert " in stuck go on" in reason
    finally:
        over.set()
    await tower.advance(timedelta(minutes=1))
    assert worker.health() == []
    assert len(begun) == many
    assert not worker.runtime.tasks.left
