"""`hocket breaker` on SQLite: beside a running service by asking it, and on the file while it is down."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from hocket.assembly.process import Assembly
from hocket.cli.targets import load
from hocket.config import Config
from hocket.resilience.breakers.view import SharedBreaker
from tests.hocket.cli.terminal import Terminal

MODULE = '''
from hocket import Breaker, Heard, Service, Tx

tower = Service("tower", owner="ringers")
tower.says_breakers()
rope = Breaker("rope", failures=(OSError,))


class Rung(Heard, type="bell.rung", version=1):
    """A bell."""

    name: str


@tower.handler(breaker=rope)
async def pull(rung: Rung, tx: Tx) -> None:
    """Calls nobody."""
'''


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module with a service that has one breaker, and its database."""
    (tmp_path / "belltower.py").write_text(MODULE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("HOCKET_DATABASE_URL", f"sqlite:///{tmp_path}/{{service}}.db")
    monkeypatch.setenv("HOCKET_BROKER_URL", "memory://")
    yield "belltower"
    sys.modules.pop("belltower", None)


@asynccontextmanager
async def running(module: str) -> AsyncIterator[SharedBreaker]:
    """The service runs; its breaker as it knows it."""
    assembly = Assembly(Config.read())
    part = await assembly.start(load(module), 0)
    try:
        yield next(each for each in part.worker.breakers.all())
    finally:
        await assembly.close()


def states(out: str) -> list[dict[str, Any]]:
    """What the command printed as JSON, among the lines of a service that runs here."""
    answer, _ = json.JSONDecoder().raw_decode(out, out.index('{\n  "breakers"'))
    found: list[dict[str, Any]] = answer["breakers"]
    return found


async def test_a_person_opens_and_closes_it_beside_the_running_service(hocket: Terminal, module: str) -> None:
    """RULES 6.7: the service is asked, learns of it at once, and keeps reason and name; closing leads to the ramp."""
    async with running(module) as rope:
        ended = await asyncio.to_thread(
            hocket, "breaker", "open", module, "rope", "--reason", "they move", "--for", "2h"
        )
        assert ended.status == 0
        assert str(rope.state) == "held"
        listed = (await asyncio.to_thread(hocket, "breaker", "list", module)).out
        assert "they move" in listed
        assert "held" in listed
        ended = await asyncio.to_thread(hocket, "breaker", "close", module, "rope", "--reason", "done", "--json")
        assert [each["state"] for each in states(ended.out)] == ["open"]
        assert rope.wait(rope.clock.monotonic()) < 1, "one process knows at once: the ramp begins"
        await asyncio.to_thread(hocket, "breaker", "close", module, "rope", "--reason", "done", "--now")
        assert rope.state == "closed"
        refused = await asyncio.to_thread(hocket, "breaker", "open", module, "gate", "--reason", "x")
        assert refused.status == 1
        assert "has no breaker 'gate': it has rope" in refused.err


async def test_what_was_done_while_it_was_down_holds(hocket: Terminal, module: str, tmp_path: Path) -> None:
    """RULES 6.3, 6.7: the file is written, the change said with it; the service begins with what was left."""
    async with running(module):
        pass
    ended = await asyncio.to_thread(hocket, "breaker", "open", module, "rope", "--reason", "night", "--json")
    assert [(each["state"], each["reason"], each["seconds"]) for each in states(ended.out)] == [("held", "night", None)]
    waiting = await asyncio.to_thread(hocket, "outbox", "tower")
    assert "tower.breaker_changed" in waiting.out
    async with running(module) as rope:
        assert rope.state == "held"


def test_what_is_no_command(hocket: Terminal, module: str) -> None:
    """A time that is none; a reason that is missing; a database that does not exist."""
    assert "write 90s, 30m, 2h or 1d" in hocket("breaker", "open", module, "rope", "--reason", "x", "--for", "2").err
    assert "reason" in hocket("breaker", "open", module, "rope").err
    assert "there is no database" in hocket("breaker", "list", module).err
