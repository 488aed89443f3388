"""Commands to a running service: who may give them, and what else is refused."""

import json
import stat
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from hocket.errors import ConfigError
from hocket.worker.http.operator import MAX_COMMAND_BYTES, PATH, CommandRefused, Operator, loopback_of
from hocket.worker.http.server import HttpServer


class Running:
    """A service's port with one command, and how to ask it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.heard: list[dict[str, Any]] = []
        self.operator = Operator(file, {"ring": self.ring})
        self.web = HttpServer(
            "bells", "127.0.0.1", 0, [self.operator.mount], list, lambda: True, lambda: b"", allowed_hosts="*"
        )

    async def ring(self, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        """The command: refuses to ring at night."""
        if asked.get("at") == "night":
            raise CommandRefused("the bell does not ring at night")
        self.heard.append(dict(asked))
        return {"rang": True}

    @property
    def told(self) -> dict[str, Any]:
        """What the file says."""
        found: dict[str, Any] = json.loads(self.file.read_text(encoding="utf-8"))
        return found

    async def ask(self, headers: dict[str, str] | None = None, body: bytes = b"{}", name: str = "ring") -> int:
        """Ask as the command line does, with other headers where given; the status."""
        sent = {"Authorization": f"Bearer {self.told['token']}", "Content-Type": "application/json", **(headers or {})}
        async with (
            ClientSession() as session,
            session.post(f"http://127.0.0.1:{self.web.port}{PATH}{name}", data=body, headers=sent) as answer,
        ):
            await answer.read()
            return answer.status


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Running]:
    """A service that takes commands."""
    made = Running(tmp_path / "bells.db.operator")
    await made.web.start()
    made.operator.listening("127.0.0.1", made.web.port)
    yield made
    made.operator.close()
    await made.web.stop()


async def test_the_command_line_is_heard(running: Running) -> None:
    """With the token of the file, which only its owner can read; the file goes when the service stops."""
    assert await running.ask(body=b'{"why": "noon"}') == 200
    assert running.heard == [{"why": "noon"}]
    assert stat.S_IMODE(running.file.stat().st_mode) == 0o600
    running.operator.close()
    assert not running.file.exists()


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": "Bearer of-another-start"}, 401),
        ({"Authorization": ""}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Host": "evil.example"}, 403),  # a page whose name was pointed at this machine
        ({"Origin": "http://127.0.0.1:1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"X-Forwarded-For": "10.0.0.1"}, 403),  # a proxy on this machine
    ],
)
async def test_nobody_else_is_heard(running: Running, headers: dict[str, str], status: int) -> None:
    """A page of a browser, a proxy, another user of the machine: refused, whatever HOCKET_ALLOWED_HOSTS says."""
    assert await running.ask(headers) == status
    assert running.heard == []


async def test_what_else_is_refused(running: Running) -> None:
    """A command that says no, one that is unknown, a body that is too large or no object."""
    assert await running.ask(body=b'{"at": "night"}') == 409
    assert await running.ask(name="sing") == 404
    assert await running.ask(body=b"[]") == 400
    assert await running.ask(body=b"{") == 400
    assert await running.ask(body=b"{" + b" " * MAX_COMMAND_BYTES + b"}") == 413
    assert running.heard == []


async def test_the_file_of_another_start_stays(running: Running) -> None:
    """A service that stops late removes its own file only."""
    Operator(running.file, {}).listening("127.0.0.1", 1)
    running.operator.close()
    assert running.told["port"] == 1


async def test_it_says_where_it_cannot_be_asked(running: Running) -> None:
    """A service on one address of a network has no loopback address; a folder that is gone is named."""
    assert [loopback_of(host) for host in ("", "0.0.0.0", "::", "::1", "localhost", "127.0.0.2", "10.0.0.5")] == [
        "127.0.0.1", "127.0.0.1", "::1", "::1", "localhost", "127.0.0.2", ""
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="cannot be written"):
        Operator(running.file.parent / "gone" / "x", {}).listening("127.0.0.1", 1)
