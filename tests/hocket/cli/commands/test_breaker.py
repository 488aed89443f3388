"""`hocket breaker`: on SQLite by asking the running service or on the file, on PostgreSQL in the row beside it."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deploy.database.server import PostgresServer
from hocket.assembly.process import Assembly
from hocket.cli.targets import load
from hocket.config import Config
from hocket.resilience.breakers.view import SharedBreaker
from tests.hocket.cli.terminal import Terminal
from tests.hocket.sample_services import until

#: Seconds in which a replica learns of a change, at latest.
PATIENCE_SECONDS = 30.0

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


async def test_a_reason_of_odd_bytes_is_kept_as_far_as_it_can_be(
    hocket: Terminal, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 6.7: a terminal passes on whatever bytes it is given, as a user's name too."""
    monkeypatch.setenv("SUDO_USER", "ad\udce9")
    words = ("breaker", "open", module, "rope", "--reason", "caf\udce9 \0", "--json")
    async with running(module):
        asked = await asyncio.to_thread(hocket, *words)
    alone = await asyncio.to_thread(hocket, *words)
    assert [(each["reason"], each["by"]) for each in states(asked.out)] == [("caf? \ufffd", "ad?")]
    assert [(each["reason"], each["by"]) for each in states(alone.out)] == [("caf? \ufffd", "ad?")]


@pytest.fixture
def on_postgres(module: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module's service on PostgreSQL, in a schema of its own, with a lease that is renewed often."""
    monkeypatch.setenv("HOCKET_DATABASE_URL", postgres.url())
    monkeypatch.setenv("HOCKET_POSTGRES_SCHEMA", f"breaker_{uuid4().hex}")
    monkeypatch.setenv("HOCKET_OWNER_RENEW_SECONDS", "0.2")
    monkeypatch.setenv("HOCKET_OWNER_LEASE_SECONDS", "2")
    return module


async def test_on_postgresql_every_replica_learns_what_a_person_does(hocket: Terminal, on_postgres: str) -> None:
    """RULES 6.3, 6.7: the command writes the row, asking nobody; both replicas follow."""
    async with running(on_postgres) as one, running(on_postgres) as other:
        words = ("breaker", "open", on_postgres, "rope", "--reason", "they move", "--for", "2h", "--json")
        ended = await asyncio.to_thread(hocket, *words)
        [told] = states(ended.out)
        assert (told["state"], told["reason"], 7190 < told["seconds"] <= 7200) == ("held", "they move", True)
        await until(lambda: {str(one.state), str(other.state)} == {"held"}, PATIENCE_SECONDS)
        listed = (await asyncio.to_thread(hocket, "breaker", "list", on_postgres)).out
        assert "they move" in listed
        assert "held" in listed
        await asyncio.to_thread(hocket, "breaker", "close", on_postgres, "rope", "--reason", "done")
        await until(lambda: {str(one.state), str(other.state)} == {"open"}, PATIENCE_SECONDS)
        await asyncio.to_thread(hocket, "breaker", "close", on_postgres, "rope", "--reason", "sure", "--now")
        await until(lambda: {str(one.state), str(other.state)} == {"closed"}, PATIENCE_SECONDS)
        [told] = states((await asyncio.to_thread(hocket, "breaker", "list", on_postgres, "--json")).out)
        assert (told["state"], told["reason"]) == ("closed", "sure")


async def test_on_postgresql_what_was_done_while_it_was_down_holds(hocket: Terminal, on_postgres: str) -> None:
    """RULES 6.3, 6.7: the change is said with the row, and the next replica begins with what was left."""
    async with running(on_postgres):
        pass
    ended = await asyncio.to_thread(hocket, "breaker", "open", on_postgres, "rope", "--reason", "night", "--json")
    assert [(each["state"], each["seconds"]) for each in states(ended.out)] == [("held", None)]
    assert "tower.breaker_changed" in (await asyncio.to_thread(hocket, "outbox", "tower")).out
    refused = await asyncio.to_thread(hocket, "breaker", "close", on_postgres, "gate", "--reason", "x")
    assert refused.status == 1
    async with running(on_postgres) as rope:
        assert rope.state == "held"


def test_what_is_no_command(hocket: Terminal, module: str) -> None:
    """A time that is none; a reason that is missing; a database that does not exist."""
    assert "write 90s, 30m, 2h or 1d" in hocket("breaker", "open", module, "rope", "--reason", "x", "--for", "2").err
    assert "reason" in hocket("breaker", "open", module, "rope").err
    assert "there is no database" in hocket("breaker", "list", module).err
