"""`play` and `fake_tx`, as a team uses them."""

import asyncio
from datetime import timedelta

import pytest

from hocket import Scheduled, Tx
from hocket.errors import HocketError
from hocket.testing import fake_tx, play
from tests.hocket.sample_services import (
    Echoed,
    Rung,
    Shut,
    Tolled,
    World,
    bells,
    book,
    echo,
    fail,
    rope,
    steps,
    tables,
)

RUNG = Rung(name="a")


async def _run(seed: int) -> list[str]:
    async with play(bells.using(World(behave=echo)), seed=seed) as stage:
        for _ in range(5):
            await stage.hear(RUNG)
        await stage.quiet()
        return [each["said"][0] for each in stage.receipts if each["kind"] == "receipt"]


async def test_the_same_seed_is_the_same_run() -> None:
    """Ids, waits and order depend on the seed alone."""
    assert await _run(7) == await _run(7)
    assert await _run(7) != await _run(8)


async def test_what_a_test_lets_them_hear_nobody_has_said() -> None:
    """Also where it is an event that one of the services says, as a cancellation that comes from outside."""
    async with play(bells.using(World(behave=echo))) as stage:
        await stage.hear(Tolled(name="a"), subject="bell/a")
        await stage.quiet()
        assert (list(stage.said), list(stage.said_of(Tolled))) == ([], [])


async def test_what_an_outsider_can_tell() -> None:
    """The said events, the dead letters, and the steps of a failed flow that are not undone."""

    async def toll(rung: Rung, tx: Tx[World]) -> Tolled:
        return Tolled(name=rung.name)

    async with play(steps.using(World(behave=toll, undo=fail))) as stage:
        flow = "0198c5b8-0000-7000-8000-000000000001"
        await stage.hear(RUNG, subject="bell/a", correlation_id=flow)
        await stage.quiet()
        assert [each.name for each in stage.said_of(Tolled)] == ["a"]
        assert list(stage.zombies) == []
        await stage.hear(Shut(name="a"), subject="bell/a", correlation_id=flow)
        await stage.advance(timedelta(minutes=5))
        assert list(stage.dead) == ["steps.hush"]
        assert list(stage.zombies) == ["steps.toll bell/a"]


async def test_quiet_names_what_does_not_come_to_rest() -> None:
    """The error names a handler that never ends."""

    async def sleep(rung: Rung, tx: Tx[World]) -> None:
        for _ in range(200):
            await asyncio.sleep(50)

    async def again(rung: Rung, tx: Tx[World]) -> None:
        await sleep(rung, tx)

    async with play(bells.using(World(behave=again))) as stage:
        await stage.hear(RUNG)
        await stage.quiet()
        assert [each["outcome"] for each in stage.receipts if each["kind"] == "receipt"] == ["retry"]


async def test_a_handler_is_a_plain_function() -> None:
    """`fake_tx` gives keys, outside calls, and a private database."""
    tx = fake_tx(uses=World(), tables=tables)
    async with tx.outside(rope) as key:
        assert key == tx.idempotency_key
    assert await book(RUNG, tx) == Echoed(name="a")
    assert not await tx.cancel(Echoed, "none")
    with pytest.raises(HocketError):
        async with tx.outside(rope, "late"):
            pass


def test_scheduled_is_a_value() -> None:
    """A handler's return can be compared."""
    one = Scheduled(Echoed(name="a"), after=timedelta(1), key="k")
    assert one == Scheduled(Echoed(name="a"), after=timedelta(1), key="k")
