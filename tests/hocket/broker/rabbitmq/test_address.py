"""The broker's URL: one node and several, TLS with a private CA and client certificates."""

import asyncio
import shutil
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode, find_programs, free_ports
from hocket.broker.port import Verdict
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.rabbitmq.address import MAX_NODES, addresses
from hocket.errors import ConfigError
from hocket.testing.transport_contract.world import PATIENCE, Room, closed, until

OPENSSL_SECONDS = 60.0


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("amqp://u:p@a/v", ["a:5672"]),
        ("amqps://a", ["a:5671"]),
        ("amqp://u:p@a,b:5673,c/v?heartbeat=5", ["a:5672", "b:5673", "c:5672"]),
        ("amqp://u:p@a:1/v, amqps://u:q@b/v", ["a:1", "b:5671"]),
        ("amqp://u:p@a,b/v,amqp://c,d/w", ["a:5672", "b:5672", "c:5672", "d:5672"]),
        ("amqp://[::1]:5673,b/v", ["::1:5673", "b:5672"]),
    ],
)
def test_every_node_is_read_in_order(text: str, where: list[str]) -> None:
    """Hosts separated by commas share user, virtual host and query; whole URLs have their own."""
    found = addresses(text)
    assert [each.where for each in found] == where
    assert all(each.url.query.get("heartbeat", "5") == "5" for each in found)


def test_hosts_share_the_rest_of_the_url() -> None:
    """User, password, virtual host."""
    first, second = addresses("amqp://u:p%40@a,b/v")
    assert (first.url.user, first.url.password, first.url.path) == ("u", "p@", "/v")
    assert (second.url.user, second.url.password, second.url.path) == ("u", "p@", "/v")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("amqp://u:secret@a,,b/v", "it has the form amqp://USER"),
        ("amqp://u:secret@a:port/v", "it has the form amqp://USER"),
        ("amqp://u:secret@a/v,http://b/", "it has the form amqp://USER"),
        ("amqp://u:secret@" + ",".join("a" * (MAX_NODES + 1)), "at most 32 are tried"),
        ("amqp://u:secret@a/v?cafile=/ca.pem", "TLS begins with amqps://"),
        ("amqps://u:secret@a/v?cafile=/no/such/ca.pem", "cafile=/no/such/ca.pem of the broker's URL cannot be used"),
        ("amqps://u:secret@a/v?keyfile=/key.pem", "a keyfile and no certfile"),
        ("amqps://u:secret@a/v?certfile=/no/such/cert.pem", "certfile=/no/such/cert.pem of the broker's URL"),
    ],
)
def test_an_invalid_url_is_refused_without_the_password(text: str, sentence: str) -> None:
    """The error says what is wrong and never repeats the password."""
    with pytest.raises(ConfigError) as refused:
        addresses(text)
    assert sentence in str(refused.value)
    assert "secret" not in str(refused.value)


class Authority:
    """A private CA made by openssl, and what it signs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True)
        self._openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=private CA",
                      "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"))  # fmt: skip

    def path(self, name: str) -> str:
        """A file of it."""
        return str(self._folder / name)

    def sign(self, name: str) -> None:
        """Make NAME.pem and NAME.key, for loopback."""
        extensions = self._folder / f"{name}.ext"
        extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n", encoding="ascii")
        self._openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", f"/CN={name}",
                      "-keyout", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"))  # fmt: skip
        self._openssl("x509", "-req", "-days", "2", "-CAcreateserial", "-CA", self.path("ca.pem"),
                      "-CAkey", self.path("ca.key"), "-in", self.path(f"{name}.csr"),
                      "-extfile", str(extensions), "-out", self.path(f"{name}.pem"))  # fmt: skip

    @staticmethod
    def _openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=OPENSSL_SECONDS)


@pytest.fixture
async def secured(tmp_path: Path) -> AsyncIterator[tuple[str, Authority]]:
    """A node that requires certificates of our CA: its URL without a query, and the CA."""
    if find_programs() is None or shutil.which("openssl") is None:
        pytest.skip("rabbitmq-server or openssl is not installed here; `make test` as root installs the server")
    authority = Authority(tmp_path / "node" / "ca")  # where the node sees it, also from a chroot
    authority.sign("server")
    authority.sign("client")
    [port] = free_ports(1)
    settings = [
        f"listeners.ssl.1 = 127.0.0.1:{port}",
        f"ssl_options.cacertfile = {authority.path('ca.pem')}",
        f"ssl_options.certfile = {authority.path('server.pem')}",
        f"ssl_options.keyfile = {authority.path('server.key')}",
        "ssl_options.verify = verify_peer",
        "ssl_options.fail_if_no_peer_cert = true",
    ]
    node = RabbitNode(tmp_path / "node", settings=settings)
    try:
        await asyncio.to_thread(node.start)
        yield f"amqps://{node.user}:{node.password}@127.0.0.1:{port}/%2F", authority
    finally:
        await asyncio.to_thread(node.kill)
        await asyncio.to_thread(node.stop)


@pytest.mark.rabbitmq
async def test_a_private_ca_and_client_certificates(secured: tuple[str, Authority], tmp_path: Path) -> None:
    """With the CA and a client certificate it connects; without either, the link says why."""
    url, authority = secured
    room = Room()
    who = f"certfile={authority.path('client.pem')}&keyfile={authority.path('client.key')}"
    transport = RabbitTransport(f"{url}?cafile={authority.path('ca.pem')}&{who}", room.service)
    transport.on_ready(lambda: transport.declare(room.topology()))
    await transport.open()
    await asyncio.wait_for(transport.until_ready(), PATIENCE)
    answers = await transport.publish([room.to_queue(b"1")])
    assert [each.verdict for each in answers] == [Verdict.CONFIRMED]
    await closed([transport])
    stranger = Authority(tmp_path / "stranger")
    for query, sentence in (
        (who, "does not agree on TLS: "),
        (f"cafile={stranger.path('ca.pem')}&{who}", "does not agree on TLS: "),
        (f"cafile={authority.path('ca.pem')}", "127.0.0.1"),
    ):
        refused = RabbitTransport(f"{url}?{query}", "stranger")
        await refused.open()
        await until(lambda refused=refused, sentence=sentence: sentence in refused.link().reason  # type: ignore[misc]
                    and "yet" not in refused.link().reason, "it says why")  # fmt: skip
        assert not refused.link().ready
        await refused.close()
