"""Time-outs of a service that is down, dies, or has an answer in hand when the time is over."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hocket.saga.overdue import TimerState
from hocket.store.sqlite.store import SqliteStore
from hocket.store.sqlite.timers.due import SqliteTimers
from hocket.worker.worker import Worker
from tests.hocket.delivery.overdue.shop import WITHIN, Paid, Placed, shop
from tests.hocket.sample_services import Processes

#: Writes of the store between the arming and the end of the time-out, with some to spare.
WRITES = 7


def said(tower: Processes) -> list[str]:
    """What the shop has said."""
    return [each.type for each in tower.log() if each.source == "/shop"]


def told(tower: Processes) -> list[str]:
    """The states of the time-out that the receipts tell."""
    return [each["timer"]["state"] for each in tower.receipts() if "timer" in each]


async def row_state(worker: Worker) -> list[str]:
    """The states of the time-outs that stand in the store."""
    async with worker.runtime.store.read() as db:
        found = await db.exec_driver_sql("SELECT state FROM hocket_timers ORDER BY run")
        return [row[0] for row in found]


async def test_an_answer_that_came_during_an_outage_wins(tower: Processes) -> None:
    """RULES 5.7: the time was over while the service was down; what stood in its queue is heard before the alarm."""
    await tower.start(shop())
    await tower.hear(Placed(order=1), "placed")
    await tower.quiet()
    await tower.stop("shop")
    await tower.hear(Paid(order=1), "paid")
    await asyncio.sleep(2 * WITHIN.total_seconds())
    await tower.start(shop())
    await tower.advance(WITHIN)
    assert said(tower) == []
    assert "met" in told(tower)


@pytest.mark.parametrize("stopped", [False, True])
async def test_an_alarm_waits_for_an_answer_in_hand(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, stopped: bool
) -> None:
    """RULES 5.7: the commit of the answer takes its time: the alarm waits, and goes back behind it at a stop."""
    worker = await tower.start(shop())
    await tower.hear(Placed(order=1), "placed")
    await tower.advance(WITHIN / 2)
    commit, hold = SqliteStore.commit, asyncio.Event()

    async def slowly(self: SqliteStore, endings: Any) -> Any:
        if any(row.state is TimerState.MET for ending in endings for row in ending.timers):
            await hold.wait()
        return await commit(self, endings)

    monkeypatch.setattr(SqliteStore, "commit", slowly)
    await tower.hear(Paid(order=1), "paid")
    await asyncio.sleep(WITHIN.total_seconds())
    assert await row_state(worker) == ["called"]
    assert said(tower) == []
    stop = asyncio.ensure_future(tower.stop("shop")) if stopped else None
    await asyncio.sleep(1)
    hold.set()
    if stop is not None:
        await stop
        await tower.start(shop())
    await tower.advance(WITHIN)
    assert said(tower) == []
    assert told(tower) == ["armed", "met", "void"]


class Fuse:
    """Stops the process at its n-th write of the store: before it, or behind it, when nobody knows of it yet."""

    def __init__(self, at: int, *, behind: bool) -> None:
        self.left = at
        self.behind = behind
        self.blown = asyncio.Event()

    async def around(self, write: Callable[[], Awaitable[Any]]) -> Any:
        """Write, or stop for good."""
        self.left -= 1
        if self.left != 0:
            return await write()
        if self.behind:
            await write()
        self.blown.set()
        return await asyncio.Event().wait()


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
async def test_a_crash_at_each_write(tower: Processes, monkeypatch: pytest.MonkeyPatch, at: int, behind: bool) -> None:
    """RULES 5.7, 3.1: whenever the process dies, the time-out fires once and what it says is said once."""
    fuse = Fuse(at, behind=behind)
    commit, call = SqliteStore.commit, SqliteTimers.call_due

    async def committing(self: SqliteStore, endings: Any) -> Any:
        return await fuse.around(lambda: commit(self, endings))

    async def calling(self: SqliteTimers, subscriptions: Any, limit: int) -> Any:
        if (wait := await self.next_due(subscriptions)) is None or wait > 0:
            return []
        return await fuse.around(lambda: call(self, subscriptions, limit))

    await tower.start(shop())
    with monkeypatch.context() as patched:
        patched.setattr(SqliteStore, "commit", committing)
        patched.setattr(SqliteTimers, "call_due", calling)
        await tower.hear(Placed(order=1), "placed")
        waiting = asyncio.ensure_future(fuse.blown.wait())
        await asyncio.wait([waiting], timeout=2 * WITHIN.total_seconds())
        waiting.cancel()
        await tower.kill("shop")
    await tower.start(shop())
    await tower.advance(2 * WITHIN)
    assert said(tower) == ["shop.cancelled"]
    assert tower.letters() == []
    await tower.hear(Paid(order=1), "paid")
    await tower.quiet()
    assert [each["timer"]["state"] for each in tower.receipts() if "late" in each.get("timer", {})] == ["fired"]
