"""From a sender on RabbitMQ to the tracer's page: one service that stops, one tracer, no fact made by hand."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import aiohttp

from hocket import Heard, Service, Tx
from hocket.assembly import Assembly
from hocket.broker.port import Message
from hocket.broker.topology import EVENTS
from hocket.config import Config
from hocket.envelope import CONTENT_TYPE
from services.tracer import tracer

#: Seconds in which what is waited for must come, on a busy machine.
PATIENCE = 60.0


class Shipped(Heard, type="parcel.shipped"):
    parcel_id: str
    grams: int = 0


def message(n: int) -> Message:
    """What a sender says who knows nothing of hocket."""
    data = {"parcel_id": str(n), "grams": 5 if n % 2 else "5", "carrier": "secret"}
    body = {"specversion": "1.0", "id": f"p{n}", "source": "depot", "type": "parcel.shipped", "data": data}
    return Message(EVENTS, "parcel.shipped.v1", json.dumps(body).encode(), CONTENT_TYPE)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while True:
        if condition():
            return
        await asyncio.sleep(0.05)


async def test_what_a_sender_changes_is_on_the_page(broker_url: str, tmp_path: Path) -> None:
    """RULES 16.1, 16.3: a foreign event, the last counts at a stop, the flow, the page."""
    handled: list[str] = []
    stock = Service("stock", owner="team-stock")

    @stock.handler
    async def note(parcel: Shipped, tx: Tx) -> None:
        handled.append(parcel.parcel_id)

    config = Config(broker_url=broker_url, database_url=f"sqlite:///{tmp_path}/{{service}}.db")
    watching, working = Assembly(config), Assembly(config)
    try:
        port = (await watching.start(tracer, 0)).web.port
        part = await working.start(stock, 0)
        async with asyncio.timeout(PATIENCE):
            await until(lambda: not part.worker.health())
            await part.transport.publish([message(n) for n in range(3)])
            await until(lambda: len(handled) == 3)
        await working.close()
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http, asyncio.timeout(PATIENCE):
            found: dict[str, list[dict[str, object]]] = {"drift": []}
            while len(found["drift"]) < 2 or not all(each["flow"] for each in found["drift"]):
                await asyncio.sleep(0.1)
                async with http.get("/api/drift") as answer:
                    found = await answer.json()
            [compared] = found["compared"]
            assert (compared["source"], compared["events"], compared["owner"]) == ("depot", 3, "team-stock")
            assert {(each["path"], each["kind"], each["state"]) for each in found["drift"]} == {
                ("carrier", "unknown", "baseline"), ("grams", "type", "baseline"),
            }  # fmt: skip
            async with http.get("/drift") as page:
                text = await page.text()
        assert "parcel.shipped" in text
        assert "carrier" in text
        assert "secret" not in text
    finally:
        await working.close()
        await watching.close()
