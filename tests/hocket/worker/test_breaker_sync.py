"""A change of a breaker is said once, whatever becomes of the call that made it."""

import asyncio
import json
from dataclasses import replace
from functools import partial
from typing import Any, cast

import pytest

from hocket import Breaker, Heard, Service, Tx
from hocket.errors import StoreError
from hocket.outbox.builder import OutboxBuilder
from hocket.resilience.breakers.row import BreakerRow
from hocket.resilience.breakers.transitions import held
from hocket.store.sqlite.store import SqliteStore
from hocket.telemetry.signals import Listener, Signals
from hocket.worker.breaker_sync import MOST_TOLD, BreakerSpeaker
from tests.hocket.sample_services import Processes

rope = Breaker("rope", failures=(OSError,))
bell = Service("bell", owner="tests")
bell.says_breakers()


class Rung(Heard, type="tower.rung"):
    """Somebody rings."""

    ill: bool = False
    secret: str = ""


@bell.handler(breaker=rope)
async def pull(rung: Rung, tx: Tx) -> None:
    """One call."""
    if rung.ill:
        async with tx.outside(rope, "pull"):
            raise ConnectionError(rung.secret)


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


def told(tower: Processes) -> list[dict[str, Any]]:
    """Every change of a breaker that was told."""
    every = [fact for each in tower.broker.messages("hocket.receipts") for fact in json.loads(each.body)]
    return [fact for fact in every if fact["kind"] == "breaker"]


async def test_each_change_is_told_once_with_what_failed(tower: Processes) -> None:
    """RULES 6.7: the class of the error and never its text; the heartbeat has the same, and the ramp's width."""
    await tower.start(bell)
    for number in range(rope.after):
        await tower.hear(Rung(ill=True, secret="4111 1111"), f"k{number}")
    await asyncio.sleep(5)
    [opened] = told(tower)
    assert (opened["name"], opened["was"], opened["state"], opened["version"]) == ("rope", "closed", "open", 1)
    assert opened["reason"] == "5 failures in a row, the last by ConnectionError"
    assert opened["until"] > opened["time"]
    beats = [fact for each in tower.broker.messages("hocket.receipts") for fact in json.loads(each.body)]
    shown = [each["breakers"]["rope"] for each in beats if each["kind"] == "heartbeat"][-1]
    assert {name: shown[name] for name in ("state", "version", "reason", "until")} == {
        name: opened[name] for name in ("state", "version", "reason", "until")
    }
    assert shown["since"] == opened["time"]


def test_a_breaker_that_flaps_is_told_a_bounded_number_of_times() -> None:
    """RULES 6.7: in a minute at most `MOST_TOLD`; the next fact says how many were not told."""
    speaker = BreakerSpeaker(bell.declarations, cast("OutboxBuilder", None))
    speaker.declared = replace(bell.declarations, breaker_event=None)
    row, facts = BreakerRow("rope"), []
    for at in range(1000):
        after = row._replace(version=at + 1, state="closed" if row.state == "open" else "open", updated=at / 100)
        ending, row = speaker.ending(row, after), after
        facts += [json.loads(ending.receipt)] if ending else []
    assert len(facts) == MOST_TOLD
    after = row._replace(version=1001, state="open", updated=100.0)
    ending = speaker.ending(row, after)
    assert ending is not None
    assert json.loads(ending.receipt)["untold"] == 1000 - MOST_TOLD


class Troubles(Listener):
    """What went wrong."""

    def __init__(self) -> None:
        self.said: list[tuple[str, object]] = []

    def trouble(self, service: str, what: str, **about: str | float) -> None:
        """One line."""
        self.said.append((what, about.get("breaker")))


@pytest.mark.parametrize("error", [StoreError("it is read only"), ValueError("a check of the database")])
async def test_a_row_that_cannot_be_written_is_said_once_and_the_own_count_opens(
    tower: Processes, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """RULES 6.10: the dependency is left alone all the same, and somebody can know that replicas count apart."""
    troubles = Troubles()
    tower.signals = Signals([troubles])
    worker = await tower.start(bell)

    async def refuses(work: Any) -> Any:
        raise error

    monkeypatch.setattr(worker.runtime.store.breakers, "_write", refuses)
    for number in range(20):
        await tower.hear(Rung(ill=True), f"k{number}")
    await asyncio.sleep(5)
    assert worker.breakers.of(rope).state == "open"
    assert [about for what, about in troubles.said if "its row cannot be" in what] == ["rope"]
    assert not tower.letters()
