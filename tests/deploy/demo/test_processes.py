"""Demos on a private RabbitMQ node of their own, every service a process."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.broker.node import find_programs
from deploy.demo.place import PORTS
from tests.deploy.demo.demo_process import Demo
from tests.deploy.port_offsets import free_offset

pytestmark = [
    pytest.mark.rabbitmq,
    pytest.mark.skipif(find_programs() is None, reason="no rabbitmq-server is installed"),
]


@pytest.fixture
def demo() -> Iterator[Demo]:
    """A demo that has just begun."""
    running = Demo(free_offset(PORTS.values()))
    try:
        yield running
    finally:
        running.end()


def test_a_service_that_dies_ends_the_demo(demo: Demo) -> None:
    """A service that ends by itself is named with its log, and nothing stays behind."""
    demo.until("are on their way")
    mark = f":{demo.place.port('inventory')}\0"
    [inventory] = [pid for pid in demo.processes() if mark in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")]
    os.kill(inventory, signal.SIGKILL)
    assert demo.wait() == 1
    last = demo.printed.splitlines()[-1]
    assert last.startswith("FAILED: The demo cannot go on: inventory ended by itself with status -9")
    assert "logs/inventory.log" in last
    assert demo.left() == ([], [])


def test_ctrl_c_while_the_node_starts(demo: Demo) -> None:
    """An interruption before anything runs leaves no node behind."""
    demo.until("Starting a private RabbitMQ node")
    assert demo.interrupt() == 130
    assert demo.left() == ([], [])


def test_a_demo_that_is_killed_leaves_nothing(demo: Demo) -> None:
    """SIGKILL cannot be caught; the guards end node and services all the same."""
    demo.until("are on their way")
    demo.process.kill()
    demo.wait()
    assert demo.left() == ([], [])
