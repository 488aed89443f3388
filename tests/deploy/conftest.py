"""The shop of docker-compose.yml, running once for all tests of this folder."""

from collections.abc import Iterator

import pytest

from deploy.broker.node import RabbitNode
from tests.deploy.compose_without_containers import Shop, parts
from tests.deploy.port_offsets import free_offset


@pytest.fixture(scope="package")
def shop(rabbitmq: RabbitNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Every service as the compose file says, on a virtual host of its own of the tests' RabbitMQ."""
    offset = free_offset([part.port for part in parts()])
    running = Shop(tmp_path_factory.mktemp("compose"), rabbitmq.add_vhost("compose"), offset)
    try:
        running.start()
        yield running
    finally:
        ended = running.stop()
    assert set(ended.values()) <= {0}, f"not every service stopped in order when told: {ended}"
