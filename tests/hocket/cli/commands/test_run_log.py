"""`hocket run` as a real process on a real broker: its log says who starts, and each state of the link once."""

import asyncio
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from deploy.broker.node import RabbitNode, free_ports
from tests.hocket.cli.test_targets import GREETER
from tests.tcp_proxy import TcpProxy

PATIENCE = 120.0


@asynccontextmanager
async def running(folder: Path, broker: str, **environ: str) -> AsyncIterator[Callable[[], list[dict[str, Any]]]]:
    """The service `greeter` on this broker; yields a function that reads its log so far."""
    (folder / "greeter.py").write_text(GREETER.format(name="greeter"), encoding="utf-8")
    path = folder / "log"
    environment = {**os.environ, "HOCKET_BROKER_URL": broker, "PYTHONPATH": os.pathsep.join(sys.path), **environ}
    with path.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "hocket", "run", "greeter:0", cwd=folder, env=environment, stderr=log
        )
    try:
        yield lambda: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    finally:
        process.terminate()
        await process.wait()


async def until(lines: Callable[[], list[dict[str, Any]]], event: str, count: int = 1) -> list[dict[str, Any]]:
    """The lines of this event, once there are so many."""
    async with asyncio.timeout(PATIENCE):
        while len(found := [line for line in lines() if line["event"] == event]) < count:  # noqa: ASYNC110 -- bounded
            await asyncio.sleep(0.1)
    return found


@pytest.mark.rabbitmq
@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda url: re.sub(r":[^:@/]+@", ":hunter2@", url), r"the broker at 127.0.0.1:\d+ refuses this process: .*"),
        (lambda url: re.sub(r"/[^/]*$", "/nowhere", url), r".* refuses this process: virtual host nowhere does not ex"),
        (lambda url: re.sub(r":\d+/", f":{free_ports(1)[0]}/", url), r"the broker at 127.0.0.1:\d+ does not answer: "),
    ],
    ids=["password", "vhost", "down"],
)
async def test_a_broker_that_cannot_be_had_is_said_once(
    change: Callable[[str], str], reason: str, tmp_path: Path, rabbitmq: RabbitNode
) -> None:
    """With reason and address, without the password, however often it is tried; the first line came before."""
    url = change(rabbitmq.url())
    async with running(tmp_path, url) as lines:
        [down] = await until(lines, "link to the broker is down")
        assert re.match(reason, down["reason"]), down
        await asyncio.sleep(4)  # it is tried again meanwhile, and that is no news
        assert [line["event"] for line in lines()] == ["starting", "the database is new", "link to the broker is down"]
        first = lines()[0]
        assert list(first)[:4] == ["time", "level", "event", "service"]
        assert first["database"] == f"sqlite:///{tmp_path}/var/greeter.db"
        assert first["hears"] == ["lead.captured.v1"]
        assert (urlsplit(url).password or "none") not in (tmp_path / "log").read_text(encoding="utf-8")
    assert [line["event"] for line in lines()][-1] == "stopped"


@pytest.mark.rabbitmq
async def test_a_link_that_is_cut_is_said_when_it_goes_and_when_it_is_back(
    tmp_path: Path, rabbitmq: RabbitNode
) -> None:
    """In the middle of the work: once down with the reason, once up with the time that it took."""
    async with TcpProxy(rabbitmq.port) as proxy:
        url = re.sub(r":\d+/", f":{proxy.port}/", rabbitmq.url())
        async with running(tmp_path, url) as lines:
            await until(lines, "ready")
            proxy.down()
            proxy.cut()
            down = await until(lines, "link to the broker is down")
            assert down[0]["reason"].startswith(f"the connection to the broker at 127.0.0.1:{proxy.port} was lost: ")
            await asyncio.sleep(2)
            await proxy.up()
            [first, back] = await until(lines, "link to the broker is up", 2)
            assert back["broker"] == f"127.0.0.1:{proxy.port}"
            assert back["after_seconds"] >= 2
            assert "after_seconds" not in first
            kinds = {line["reason"].partition(": ")[0] for line in lines() if line["event"].endswith("is down")}
            assert len(kinds) == sum(line["event"].endswith("is down") for line in lines())


def test_at_a_terminal_the_log_is_text(tmp_path: Path) -> None:
    """A real pseudo terminal gets readable lines; the same process elsewhere would write JSON."""
    (tmp_path / "greeter.py").write_text(GREETER.format(name="greeter"), encoding="utf-8")
    terminal, other_end = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "hocket", "run", "greeter:0"],
        cwd=tmp_path, env={**os.environ, "HOCKET_BROKER_URL": "memory://"},
        stdin=other_end, stdout=other_end, stderr=other_end,
    )  # fmt: skip
    os.close(other_end)
    shown = b""
    try:
        while b"ready" not in shown:
            shown += os.read(terminal, 4096)
    finally:
        process.terminate()
        with suppress(OSError):  # the end of a terminal is an error
            while more := os.read(terminal, 4096):
                shown += more
        process.wait(PATIENCE)
        os.close(terminal)
    text = re.sub(rb"\x1b\[[0-9;]*m", b"", shown).decode()
    assert re.match(r"\d\d:\d\d:\d\d \[info *\] starting", text), text
    assert "{" not in text
    assert "stopped" in text
