"""The desk on a real broker: letters of the kit and of the broker itself, a replay, the receipt that settles it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import aio_pika
import aiohttp
import pytest

from hocket import Heard, Retry, Service, Tx
from hocket.assembly import Assembly
from hocket.broker.topology import DEAD, EVENTS
from hocket.config import Config
from hocket.envelope import CONTENT_TYPE
from hocket.testing.play import PSEUDONYM_KEY as KEY
from services.deadletters import deadletters
from tests.services.deadletters.running_desk import ACT, event

#: Seconds in which everything must come to its end.
PATIENCE = 40.0

stock = Service("stock", owner="team-stock")
BROKEN: set[str] = set()
TAKEN: list[str] = []


class OrderPlaced(Heard, type="order.placed"):
    order_id: str


@stock.handler(retry=Retry(retries=1, first=timedelta(milliseconds=20), longest=timedelta(milliseconds=50)))
async def take(order: OrderPlaced, tx: Tx) -> None:
    """Fails while the order's shelf is broken."""
    if order.order_id in BROKEN:
        raise LookupError(f"no shelf for {order.order_id}")
    TAKEN.append(order.order_id)


class Shop:
    """A broker, a service that gives up, and the desk over HTTP."""

    def __init__(self, channel: aio_pika.abc.AbstractChannel, http: aiohttp.ClientSession) -> None:
        self.channel = channel
        self.http = http

    async def publish(self, exchange: str, key: str, body: bytes) -> None:
        """Publish as a stranger would."""
        found = await self.channel.get_exchange(exchange, ensure=False) if exchange else self.channel.default_exchange
        await found.publish(aio_pika.Message(body, content_type=CONTENT_TYPE), key)

    async def letters(self, settled: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """All letters by cause, once they are as wanted."""
        async with asyncio.timeout(PATIENCE):
            while True:
                async with self.http.get("/api/dead") as answer:
                    found = {letter["cause"]: letter for letter in (await answer.json())["letters"]}
                if settled(found):
                    return found
                await asyncio.sleep(0.05)


async def ready(http: aiohttp.ClientSession, address: str) -> None:
    """Return when a service hears: what is said before is not for it."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with http.get(address) as answer:
                if answer.status == 200:
                    return
            await asyncio.sleep(0.05)


@pytest.fixture
async def shop(tmp_path: Path, broker_url: str) -> AsyncIterator[Shop]:
    """The service and the desk, running on RabbitMQ."""
    BROKEN.clear()
    TAKEN.clear()
    assembly = Assembly(
        Config(pseudonym_key=KEY, broker_url=broker_url, database_url=f"sqlite:///{tmp_path}/{{service}}.db")
    )
    try:
        shelves = (await assembly.start(stock, 0)).web.port
        port = (await assembly.start(deadletters, 0)).web.port
        connection = await aio_pika.connect(broker_url)
        async with connection, aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            for address in (f"http://127.0.0.1:{shelves}", f"http://127.0.0.1:{port}"):
                await ready(http, f"{address}/health/ready")
            yield Shop(await connection.channel(), http)
    finally:
        await assembly.close()


async def test_letters_of_every_kind_on_a_real_broker(shop: Shop) -> None:
    """RULES 8: a handler that gives up, bytes that are no event, a death made by the broker; one is replayed."""
    BROKEN.add("1")
    queue = await shop.channel.declare_queue(
        "elsewhere.hear",
        durable=True,
        arguments={
            "x-queue-type": "quorum",
            "x-dead-letter-exchange": DEAD,
            "x-dead-letter-routing-key": "elsewhere.hear",
        },
    )
    await shop.publish(EVENTS, "order.placed.v1", event(1))
    await shop.publish("stock", "stock.take", b"\xff no event")
    await shop.publish("", "elsewhere.hear", event(2))
    async with asyncio.timeout(PATIENCE), queue.iterator() as waiting:
        await (await anext(waiting)).reject(requeue=False)
    found = await shop.letters(lambda found: len(found) == 3)
    assert {cause: letter["subscription"] for cause, letter in found.items()} == {
        "LookupError": "stock.take", "undecodable": "stock.take", "rejected": "elsewhere.hear",
    }  # fmt: skip
    assert found["rejected"]["event"]["id"] == "event-2"
    BROKEN.clear()
    id = found["LookupError"]["id"]
    async with shop.http.post(f"/api/dead/{id}/replay", headers=ACT) as answer:
        assert (answer.status, (await answer.json())["attempt"]) == (202, 3)
    await shop.letters(lambda found: found["LookupError"]["state"] == "handled")
    assert TAKEN == ["1"]
    async with shop.http.post(f"/api/dead/{found['undecodable']['id']}/replay", headers=ACT) as answer:
        assert answer.status == 202
    found = await shop.letters(lambda found: found["undecodable"]["again"] == 1)
    assert found["undecodable"]["state"] == "pending"


async def test_a_replay_to_nobody_is_said(shop: Shop) -> None:
    """A subscription that is not there any more: the broker's refusal stands at the letter and nothing is lost."""
    await shop.publish(DEAD, "gone.hear", event(3))
    found = await shop.letters(lambda found: "unknown" in found)
    async with shop.http.post(f"/api/dead/{found['unknown']['id']}/replay", headers=ACT) as answer:
        assert answer.status == 503
        assert "did not accept it" in (await answer.json())["error"]
