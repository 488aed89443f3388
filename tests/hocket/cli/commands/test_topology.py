"""`hocket topology`: a definitions file that a real node accepts; leftovers are shown and removed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

from deploy.broker.node import RabbitNode, find_programs, free_ports
from hocket.broker.port import Delivery, Message, Transport, Verdict
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import EVENTS, UNHEARD, kit
from hocket.cli.targets import load
from tests.hocket.cli.terminal import Ended, Terminal
from tests.hocket.sample_services import until

PATIENCE = 30.0

SERVICE = """
from hocket import Heard, Service, Tx

{name} = Service("{name}", owner="team-money")


class OrderPlaced(Heard, type="order.placed", version={version}):
    order_id: str


@{name}.handler{options}
async def {handler}(placed: OrderPlaced, tx: Tx) -> None: ...
"""

pytestmark = pytest.mark.rabbitmq


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitNode]:
    """A node with its management API."""
    if find_programs() is None:
        pytest.skip("no rabbitmq-server is installed here; `make test` as root installs it")
    with RabbitNode(tmp_path_factory.mktemp("managed"), management=True) as started:
        yield started


class Place(NamedTuple):
    """A virtual host of the test's own, and the program configured for it."""

    node: RabbitNode
    folder: Path
    vhost: str
    url: str
    api: str
    hocket: Terminal

    async def run(self, *words: str) -> Ended:
        """Run the program in a thread."""
        return await asyncio.to_thread(self.hocket, "topology", *words)

    def module(self, module: str, *, name: str, version: int, handler: str = "charge", options: str = "") -> str:
        """A module with a service."""
        text = SERVICE.format(name=name, version=version, handler=handler, options=options)
        (self.folder / f"{module}.py").write_text(text)
        return module

    async def ask(self, path: str, body: object = None) -> Any:
        """Ask the management API directly."""
        api = self.api.replace("//", f"//{self.node.user}:{self.node.password}@")
        async with aiohttp.ClientSession() as session:
            method = "GET" if body is None else "POST"
            async with session.request(method, f"{api}/api/{path}", json=body) as answer:
                assert answer.status < 300, await answer.text()
                return await answer.json() if answer.status == 200 else None

    async def bindings(self) -> set[tuple[str, str, str]]:
        """All bindings except those of the default exchange."""
        every = await self.ask(f"bindings/{self.vhost}")
        return {(b["source"], b["destination"], b["routing_key"]) for b in every if b["source"]}


@pytest.fixture
def place(
    node: RabbitNode, folder: Path, hocket: Terminal, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Place:
    """An empty virtual host."""
    vhost = re.sub(r"\W", "-", request.node.name)
    url, api = node.add_vhost(vhost), f"http://127.0.0.1:{node.management_port}"
    monkeypatch.setenv("HOCKET_BROKER_URL", url)
    monkeypatch.setenv("HOCKET_MANAGEMENT_URL", api)
    return Place(node, folder, vhost, url, api, hocket)


@asynccontextmanager
async def linked(url: str) -> AsyncIterator[Transport]:
    """A transport that is up."""
    transport = RabbitTransport(url, "tests")
    await transport.open()
    try:
        async with asyncio.timeout(PATIENCE):
            await transport.until_ready()
        yield transport
    finally:
        await transport.close()


async def declare(transport: Transport, *modules: str) -> None:
    """Declare what the services of these modules declare at their start."""
    for module in modules:
        await transport.declare(kit() + load(module).declarations.topology())


def event(key: str) -> Message:
    """An event as it travels."""
    return Message(EVENTS, key, b"{}", "application/json")


async def test_a_node_takes_the_definitions(place: Place, node: RabbitNode) -> None:
    """RULES 10.2: imported into empty virtual hosts, by program and by API, they make what services declare."""
    two = (
        place.module("pays_def", name="pays", version=2, options='(formerly="bill")'),
        place.module("ships_def", name="ships", version=1, handler="pack"),
    )
    ended = await place.run(*two)
    assert (ended.status, ended.err) == (0, "")
    file = place.folder / "definitions.json"
    file.write_text(ended.out)
    await asyncio.to_thread(node.ctl, "import_definitions", str(file))
    made = node.add_vhost("by-api")
    there = json.loads(ended.out.replace(json.dumps(place.vhost), '"by-api"'))
    await place.ask("definitions", there)
    declared = node.add_vhost("by-declaring")
    for url in (declared, place.url, made):
        async with linked(url) as transport:
            await declare(transport, *two)  # a 406 would raise ConfigError
    told = [await place.ask(f"definitions/{vhost}") for vhost in (place.vhost, "by-api", "by-declaring")]
    for what in ("exchanges", "queues", "bindings"):
        first, *others = [sorted(json.dumps(each, sort_keys=True) for each in one[what]) for one in told]
        assert first
        assert others == [first, first]


async def test_what_is_imported_is_whole(place: Place, node: RabbitNode) -> None:
    """Without starting a service, the file has every binding that it declares."""
    one = place.module("pays_whole", name="pays", version=2)
    file = place.folder / "definitions.json"
    file.write_text((await place.run(one)).out)
    await asyncio.to_thread(node.ctl, "import_definitions", str(file))
    whole = kit() + load(one).declarations.topology()
    assert await place.bindings() == {(each.source, each.destination, each.key) for each in whole.bindings}


async def test_a_version_that_nobody_reads_is_said_and_pruned(place: Place) -> None:
    """RULES 10.2: only its binding is reported and then removed; from then on its events are unheard."""
    old = place.module("pays_old", name="pays", version=1)
    new = place.module("pays_new", name="pays", version=2)
    other = place.module("ships_one", name="ships", version=3, handler="pack")
    gone = ("hocket.heard", "pays.charge", "order.placed.v1")
    taken: list[Delivery] = []
    async with linked(place.url) as transport:
        await declare(transport, old, other, new)
        before = await place.bindings()
        said = await place.run("--unheard", new)
        line = "binding hocket.heard -> pays.charge (order.placed.v1): pays.charge reads no order.placed.v1; "
        assert (said.status, said.out) == (1, f"{line}--prune removes it\n")
        assert await place.bindings() == before
        pruned = await place.run("--prune", new, other)
        assert (pruned.status, pruned.out) == (0, f"{line}removed\n")
        assert await place.bindings() == before - {gone}
        again = await place.run("--unheard", new, other)
        assert (again.status, again.out) == (0, "There are no leftovers.\n")
        verdicts = await transport.publish([event("order.placed.v1"), event("order.placed.v2")])
        assert [each.verdict for each in verdicts] == [Verdict.CONFIRMED] * 2
        await transport.consume(UNHEARD, prefetch=10, deliver=taken.append)
        await until(lambda: bool(taken))
        assert [each.routing_key for each in taken] == ["order.placed.v1"]


async def test_a_queue_goes_when_it_is_empty(place: Place) -> None:
    """RULES 10.2: a queue with messages stays, with a hint what to do; an empty one is removed, and nothing else."""
    old = place.module("pays_both", name="pays", version=1, handler="refund")
    new = place.module("pays_one", name="pays", version=1)
    async with linked(place.url) as transport:
        await declare(transport, old, new)
        await transport.publish([event("order.placed.v1")])
        stays = await place.run("--prune", new)
        assert stays.status == 1
        assert (
            "queue pays.refund: no handler of pays has this name; it still holds messages (1), which are kept: "
            in stays.out
        )
        queues = {each["name"] for each in await place.ask(f"queues/{place.vhost}")}
        assert {"pays.refund", "pays.charge"} < queues
        assert not [each for each in await place.bindings() if each[1] == "pays.refund"]
        await asyncio.to_thread(place.node.ctl, "purge_queue", "-p", place.vhost, "pays.refund")
        gone = await place.run("--prune", new)
        assert (gone.status, gone.out) == (0, "queue pays.refund: no handler of pays has this name; removed\n")
        assert {each["name"] for each in await place.ask(f"queues/{place.vhost}")} == queues - {"pays.refund"}


async def test_a_queue_that_is_consumed_stays_as_it_is(place: Place) -> None:
    """RULES 10.2: an older release still consumes its queue, so none of its bindings is removed."""
    old = place.module("pays_works", name="pays", version=1, handler="refund")
    new = place.module("pays_waits", name="pays", version=1)
    async with linked(place.url) as transport:
        await declare(transport, old, new)
        before = await place.bindings()
        await transport.consume("pays.refund", prefetch=1, deliver=lambda _: None)
        stays = await place.run("--prune", new)
        assert stays.status == 1
        assert "it has consumers (1) and is kept" in stays.out
        assert await place.bindings() == before


async def test_former_names_stay(place: Place) -> None:
    """RULES 10.2: the queue of a former name stays for an older release that may still consume it."""
    old = place.module("pays_named", name="pays", version=1, handler="bill")
    new = place.module("pays_renamed", name="pays", version=1, options='(formerly="bill")')
    async with linked(place.url) as transport:
        await declare(transport, old, new)
        assert (await place.run("--prune", new)).out == "There are no leftovers.\n"


async def test_an_api_that_does_not_let_us_in(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wrong password is one sentence with the address, the user and the way out, without the password; status 2."""
    one = place.module("pays_barred", name="pays", version=1)
    monkeypatch.setenv("HOCKET_MANAGEMENT_URL", place.api.replace("//", "//eve:secret@"))
    ended = await place.run("--prune", one)
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert f"the management API at {place.api} does not permit user eve to do this" in ended.err
    assert "secret" not in ended.err


async def test_a_virtual_host_that_is_not_there(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names it; status 2."""
    one = place.module("pays_nowhere", name="pays", version=1)
    monkeypatch.setenv("HOCKET_BROKER_URL", place.node.url("elsewhere"))
    ended = await place.run("--unheard", one)
    assert ended.status == 2
    assert "elsewhere" in ended.err


@pytest.mark.parametrize("flag", ["--unheard", "--prune"])
def test_an_api_that_is_not_there(flag: str, hocket: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One sentence names the address and the setting; status 2."""
    [port] = free_ports(1)
    (folder / "pays_alone.py").write_text(SERVICE.format(name="pays", version=1, handler="charge", options=""))
    monkeypatch.setenv("HOCKET_BROKER_URL", "amqp://127.0.0.1/")
    monkeypatch.setenv("HOCKET_MANAGEMENT_URL", f"http://127.0.0.1:{port}")
    ended = hocket("topology", flag, "pays_alone")
    assert (ended.status, ended.out, len(ended.err.splitlines())) == (2, "", 1)
    assert ended.err.startswith(f"hocket: no management API answers at http://127.0.0.1:{port} (")
    assert "HOCKET_MANAGEMENT_URL" in ended.err


@pytest.mark.parametrize(
    ("broker", "management", "sentence"),
    [
        ("memory://", "", "HOCKET_BROKER_URL is memory://"),
        ("amqp://127.0.0.1/", "rabbit:15672", "HOCKET_MANAGEMENT_URL is not a valid address"),
        ("amqp://127.0.0.1/", "http://127.0.0.1:x", "HOCKET_MANAGEMENT_URL is not a valid address"),
        ("kafka://127.0.0.1/", "", "begin it with amqp:// or amqps:// or memory:"),
    ],
)
def test_addresses_that_cannot_be_meant(
    broker: str, management: str, sentence: str, hocket: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One sentence, status 2."""
    (folder / "pays_lost.py").write_text(SERVICE.format(name="pays", version=1, handler="charge", options=""))
    monkeypatch.setenv("HOCKET_BROKER_URL", broker)
    monkeypatch.setenv("HOCKET_MANAGEMENT_URL", management)
    ended = hocket("topology", "--prune", "pays_lost")
    assert (ended.status, len(ended.err.splitlines())) == (2, 1)
    assert sentence in ended.err


def test_a_service_is_named_once(hocket: Terminal, folder: Path) -> None:
    """Two modules with one service are a mistake: status 2."""
    for module in ("pays_a", "pays_b"):
        (folder / f"{module}.py").write_text(SERVICE.format(name="pays", version=1, handler="charge", options=""))
    ended = hocket("topology", "pays_a", "pays_b")
    assert ended.status == 2
    assert "service pays is named twice" in ended.err
