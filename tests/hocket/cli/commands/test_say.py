"""`hocket say`: one event, published as the service itself would have said it."""

import asyncio
import io
import json
import sys
from pathlib import Path

import pytest

from deploy.broker.node import RabbitNode
from hocket.broker.port import Delivery
from hocket.broker.rabbitmq import RabbitTransport
from hocket.broker.topology import kit
from hocket.clock import SystemClock
from hocket.envelope import cloudevent
from hocket.setting_groups import MAX_EVENT_BYTES
from tests.hocket.cli.terminal import Terminal

SHOP = """
from hocket import Event, Service
shop = Service("shop", owner="team-shop")
class OrderPlaced(Event, type="order.placed", version=2, subject="order/{order_id}"):
    order_id: str
    cents: int
shop.says(OrderPlaced)
"""
DATA = '{"order_id": "4711", "cents": 100}'


@pytest.fixture
def shop(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a service `shop`, and the address of the memory broker."""
    (folder / "shop_that_says.py").write_text(SHOP, encoding="utf-8")
    monkeypatch.setenv("HOCKET_BROKER_URL", "memory://")
    return folder


async def _log(url: str, many: int) -> list[Delivery]:
    """The first events of the log."""
    transport, found, all_ = RabbitTransport(url, "reader"), list[Delivery](), asyncio.Event()

    def deliver(delivery: Delivery) -> None:
        found.append(delivery)
        if len(found) == many:
            all_.set()

    await transport.open()
    await transport.until_ready()
    consumer = await transport.consume("hocket.log", prefetch=10, deliver=deliver, offset=0)
    async with asyncio.timeout(30):
        await all_.wait()
    await consumer.close()
    await transport.close()
    return found


async def _declare(url: str) -> None:
    transport = RabbitTransport(url, "kit")
    await transport.open()
    await transport.until_ready()
    await transport.declare(kit())
    await transport.close()


def test_it_is_said_at_once(hocket: Terminal, shop: Path, broker_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RULES 4.7: the log has the event as the service would have said it; flow and key give the idempotency key."""
    asyncio.run(_declare(broker_url))
    monkeypatch.setenv("HOCKET_BROKER_URL", broker_url)
    first = hocket("say", "shop_that_says", "order.placed", DATA, "--flow", "flow-1", "--key", "k", "--json")
    assert first.status == 0, first.err
    again = hocket("say", "shop_that_says", "order.placed.v2", DATA, "--flow", "flow-1", "--key", "k")
    other = hocket("say", "shop_that_says", "order.placed", DATA)
    assert (again.status, other.status) == (0, 0)
    assert "about order/4711 in flow flow-1." in again.out
    now = SystemClock().now()
    log = asyncio.run(_log(broker_url, 3))
    said = [cloudevent.read(each.body, each.content_type, each.headers, now)[0] for each in log]
    assert json.loads(first.out) == {"id": said[0].id, "subject": "order/4711", "flow": "flow-1"}
    assert [each.source for each in said] == ["/shop"] * 3
    assert said[0].idempotency_key == said[1].idempotency_key != said[2].idempotency_key
    assert said[0].id != said[1].id
    assert said[0].data == {"order_id": "4711", "cents": 100}


def test_what_the_broker_does_not_take_is_not_said(
    hocket: Terminal, shop: Path, rabbitmq: RabbitNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """RULES 4.7: on a broker without hocket's exchanges nothing is said: status 1 and the broker's reason."""
    monkeypatch.setenv("HOCKET_BROKER_URL", rabbitmq.add_vhost("nothing-declared"))
    ended = hocket("say", "shop_that_says", "order.placed", DATA)
    assert ended.status == 1
    assert "order.placed is refused: NOT_FOUND - no exchange 'hocket.events'" in ended.err
    assert "start a service on this broker once, which declares the exchanges, then repeat the command" in ended.err


def test_standard_input_has_a_bound(hocket: Terminal, shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` reads the event from standard input, up to the largest event, and refuses a longer one."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(DATA))
    assert "HOCKET_BROKER_URL is memory://" in hocket("say", "shop_that_says", "order.placed", "-").err
    endless = io.StringIO('{"order_id": "' + "4" * 2_000_000 + '", "cents": 100}')
    monkeypatch.setattr(sys, "stdin", endless)
    ended = hocket("say", "shop_that_says", "order.placed", "-")
    assert (ended.status, endless.tell()) == (2, MAX_EVENT_BYTES + 1)
    assert f"standard input has more than {MAX_EVENT_BYTES} bytes; send less" in ended.err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("order.lost", DATA), "shop does not say order.lost; it says order.placed.v2"),
        (("order.placed.v1", DATA), "shop does not say order.placed.v1; it says order.placed.v2"),
        (("order.placed", '{"order_id": "4711"}'), "order.placed: cents: field required"),
        (("order.placed", "{"), "order.placed: the data is not JSON: write the event's fields as a JSON object"),
        (("order.placed", DATA, "--key", "k"), "--key counts within a flow; give --flow too"),
        (("order.placed", DATA), "HOCKET_BROKER_URL is memory://, a broker inside one process"),
    ],
)
def test_what_cannot_be_said(hocket: Terminal, shop: Path, words: tuple[str, ...], sentence: str) -> None:
    """Invalid events and options end with status 2 and one sentence."""
    ended = hocket("say", "shop_that_says", *words)
    assert ended.status == 2
    assert sentence in ended.err
