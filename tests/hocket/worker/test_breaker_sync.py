"""A change of a breaker is said once, whatever becomes of the call that made it."""

import asyncio
from functools import partial
from typing import Any

import pytest

from hocket import Breaker, Heard, Service, Tx
from hocket.resilience.breakers.transitions import held
from hocket.store.sqlite.store import SqliteStore
from tests.hocket.sample_services import Processes

rope = Breaker("rope", failures=(OSError,))
bell = Service("bell", owner="tests")
bell.says_breakers()


class Rung(Heard, type="tower.rung"):
    """Somebody rings."""


@bell.handler(breaker=rope)
async def pull(rung: Rung, tx: Tx) -> None:
    """One call."""


async def test_a_change_whose_caller_is_cancelled_is_said_once(
    tower: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 6.7: a handler may be cut while its change is being written; what is decided next sees it as it is."""
    worker = await tower.start(bell)
    rows, written, hold = worker.breakers.rows, asyncio.Event(), asyncio.Event()
    store = worker.runtime.store
    assert isinstance(store, SqliteStore)
    write = SqliteStore._write  # noqa: SLF001 -- the moment between the write and its answer is inside

    async def slowly(self: SqliteStore, work: Any) -> Any:
        done = await write(self, work)
        written.set()
        await hold.wait()
        return done

    monkeypatch.setattr(store.breakers, "_write", partial(slowly, store))
    change = partial(held, seconds=None, reason="they migrate", by="ada", least=0.0)
    caller = asyncio.ensure_future(rows.decide("rope", change))
    await written.wait()
    caller.cancel()
    await asyncio.wait([caller])
    hold.set()
    await rows.decide("rope", lambda seen: change(seen) if seen.row.state == "closed" else seen.row)
    await tower.quiet()
    assert [each.type for each in tower.log() if each.source == "/bell"] == ["bell.breaker_changed"]
    assert await store.due(0, 10) == [], "what was written is published too"
