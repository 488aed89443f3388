"""The private node leaves nothing behind, however its owner ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy.broker.node import BrokerFailed, RabbitNode, find_programs, free_ports

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.skipif(find_programs() is None, reason="no rabbitmq-server is installed here"),
]

#: Longest wait for processes to end, in seconds.
PATIENCE = 30.0

OWNER = """
import sys, time
from pathlib import Path
from deploy.broker.node import RabbitNode
RabbitNode(Path(sys.argv[1])).start()
print("up", flush=True)
time.sleep(600)
"""


def at_work(folder: Path) -> list[str]:
    """Command lines of living processes that work in the folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").resolve().is_relative_to(folder):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except (OSError, PermissionError):
            continue
    return [line for line in found if line]


def until_nobody(folder: Path) -> None:
    """Return when no process works in the folder."""
    end = time.monotonic() + PATIENCE
    while left := at_work(folder):
        assert time.monotonic() < end, f"still there: {left}"
        time.sleep(0.1)


def test_nobody_else_reads_the_password(tmp_path: Path) -> None:
    """The settings are for their owner alone, also where an older node left them readable."""
    (tmp_path / "rabbitmq.conf").write_text("old")
    (tmp_path / "rabbitmq.conf").chmod(0o644)
    node = RabbitNode(tmp_path)
    node.write_settings()
    assert node.password in (tmp_path / "rabbitmq.conf").read_text()
    assert (tmp_path / "rabbitmq.conf").stat().st_mode & 0o077 == 0


def test_life(tmp_path: Path) -> None:
    """Started, asked, stopped in order, started on the same ports and data, stopped; nobody is left."""
    with RabbitNode(tmp_path) as node:
        port = node.port
        assert node.running
        assert node.add_vhost("shop").endswith(f":{port}/shop")
        assert at_work(tmp_path)
        node.stop()
        assert not node.running
        node.start()
        assert node.port == port
        assert "shop" in node.ctl("list_vhosts")
        with pytest.raises(BrokerFailed, match="no_such_command"):
            node.ctl("no_such_command")
    until_nobody(tmp_path)


def test_owner_killed(tmp_path: Path) -> None:
    """The owner is killed with SIGKILL: node and epmd end too."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )
    try:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"up\n"
        assert at_work(tmp_path)
    finally:
        owner.send_signal(signal.SIGKILL)
        owner.wait()
        if owner.stdout is not None:
            owner.stdout.close()
    until_nobody(tmp_path)


def test_stopped_half_way(tmp_path: Path) -> None:
    """Stopped while it still starts: everything ends."""
    node = RabbitNode(tmp_path)
    node.write_settings()
    node._launch()  # noqa: SLF001 -- the same
    node.stop()
    until_nobody(tmp_path)
    node.stop()


def test_ports() -> None:
    """All different."""
    assert len(set(free_ports(20))) == 20


def daemons(folder: Path) -> list[int]:
    """Port mappers that a node of this folder started as daemons; these leave its folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            told, words = (process / "environ").read_bytes(), (process / "cmdline").read_bytes()
        except OSError:
            continue
        if str(folder).encode() in told and b"-daemon" in words:
            found.append(int(process.name))
    return found


def test_a_slow_port_mapper_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that found none would start one as a daemon, and nobody would ever end that."""
    real = shutil.which("epmd")
    slow = tmp_path / "bin" / "epmd"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\nsleep 2\nexec {real} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    with RabbitNode(tmp_path / "node"):
        left = daemons(tmp_path / "node")
    for each in left:
        os.kill(each, signal.SIGKILL)
    assert left == []
