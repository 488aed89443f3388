"""The shop of docker-compose.yml, running once for all tests of this folder."""

import random
import socket
from collections.abc import Iterator

import pytest

from deploy.broker.node import RabbitNode
from tests.deploy.composed import Shop, parts

#: Tries to find an offset at which every port is free.
OFFSET_TRIES = 50
#: Between these the offset is sought, so that no port leaves the range of ports.
OFFSETS = range(10_000, 50_000, 100)


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_offset() -> int:
    """An offset by which every port of the compose file is free on loopback."""
    ports = [part.port for part in parts()]
    for offset in random.sample(OFFSETS, OFFSET_TRIES):
        if all(_free(port + offset) for port in ports):
            return offset
    raise AssertionError(f"no offset with {len(ports)} free ports in {OFFSET_TRIES} tries")


@pytest.fixture(scope="package")
def shop(rabbitmq: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Every service as the compose file says, on a virtual host of its own of the tests' RabbitMQ."""
    running = Shop(tmp_path_factory.mktemp("compose"), rabbitmq.add_vhost("compose"), free_offset())
    try:
        running.start()
        yield running
    finally:
        ended = running.stop()
    assert set(ended.values()) <= {0}, f"not every service stopped in order when told: {ended}"
