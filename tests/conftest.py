"""What tests of every room share: a private RabbitMQ node and a private PostgreSQL server a session."""

import os
import re
from collections.abc import Iterator

import pytest

from deploy.broker.node import RabbitNode, find_programs
from deploy.database.server import PostgresServer
from deploy.database.server import find_programs as find_database
from tests.senders import SECRETS

#: Fixtures that need a RabbitMQ node; a test that asks for one carries the marker `rabbitmq` by itself.
NEEDS_RABBITMQ = {"rabbitmq", "broker_url"}
#: The same for PostgreSQL and the marker `postgres`.
NEEDS_POSTGRES = {"postgres"}


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark what needs RabbitMQ or PostgreSQL, so that `-m` can leave it out; skip what is slow unless asked for."""
    if isinstance(item, pytest.Function):
        if NEEDS_RABBITMQ & set(item.fixturenames):
            item.add_marker(pytest.mark.rabbitmq)
        if NEEDS_POSTGRES & set(item.fixturenames):
            item.add_marker(pytest.mark.postgres)
    if item.get_closest_marker("slow") is not None and not os.environ.get("SLOW"):
        item.add_marker(pytest.mark.skip(reason="takes many minutes: SLOW=1 runs it, with -o faulthandler_timeout=0"))


@pytest.fixture(scope="session", autouse=True)
def secrets_of_senders() -> Iterator[None]:
    """The shop's ingress starts only with the secrets of its senders."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """A private RabbitMQ node with its Prometheus plugin; skips where no rabbitmq-server is installed."""
    if find_programs() is None:
        pytest.skip("no rabbitmq-server is installed here; `make test` as root installs it")
    node = RabbitNode(tmp_path_factory.mktemp("rabbitmq"), prometheus=True)
    try:
        node.start()
        yield node
    finally:
        node.kill()
        node.stop()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """A private PostgreSQL server; skips where its programs are not installed."""
    if find_database() is None:
        pytest.skip("no PostgreSQL is installed here: apt-get install postgresql brings it")
    with PostgresServer(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="module")
def broker_url(rabbitmq: RabbitNode, request: pytest.FixtureRequest) -> str:
    """The AMQP address of a virtual host that this test module has for itself."""
    return rabbitmq.add_vhost(re.sub(r"[^A-Za-z0-9_.-]", "-", request.node.nodeid) or "tests")
