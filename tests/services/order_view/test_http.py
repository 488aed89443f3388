"""The view over real HTTP, beside the service that takes the orders: what was placed can be read at once."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from hocket.assembly import Assembly
from hocket.config import Config
from hocket.testing.play import PSEUDONYM_KEY as KEY
from services.ingress import ingress
from services.order_view import order_view
from services.orders import orders

ORDER = {"customer": "Ada", "email": "ada@example.com", "card": "tok-1", "sku": "lamp", "quantity": 2}
#: Seconds in which what was said must be shown.
PATIENCE = 20.0


@dataclass
class Shop:
    """Orders, leads and the view, as anybody reaches them."""

    ports: Mapping[str, int]
    http: aiohttp.ClientSession

    def url(self, service: str, path: str) -> str:
        """An address."""
        return f"http://127.0.0.1:{self.ports[service]}{path}"

    async def place(self, number: int, email: str = "ada@example.com") -> tuple[str, str]:
        """Place an order; its id and the token of the answer."""
        body = {**ORDER, "email": email, "total_cents": 100 + number}
        headers = {"Idempotency-Key": f"k-{number}"}
        async with self.http.post(self.url("orders", "/orders"), json=body, headers=headers) as answer:
            assert answer.status == 202
            return (await answer.json())["order_id"], answer.headers["Hocket-Token"]

    async def get(self, path: str, **headers: str) -> tuple[int, Any, Mapping[str, str]]:
        """Ask the view."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.http.get(self.url("order_view", path), headers=named) as answer:
            return answer.status, await answer.json(), answer.headers

    async def until(self, path: str, count: int, field: str) -> Any:
        """The answer once it has so many rows."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, body, _ = await self.get(path)
                if status == 200 and len(body[field]) == count:
                    return body
                await asyncio.sleep(0.02)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """The three services, running."""
    url = f"sqlite:///{tmp_path}/{{service}}.db"
    assembly = Assembly(Config(pseudonym_key=KEY, broker_url="memory://", database_url=url))
    try:
        for service in (order_view, orders, ingress):
            await assembly.start(service, 0)
        async with aiohttp.ClientSession() as http:
            ports = {name: part.web.port for name, part in assembly.parts.items()}
            yield Shop(ports, http)
    finally:
        await assembly.close()


@pytest.mark.parametrize("by", ["query", "header"])
async def test_who_placed_an_order_reads_it_with_its_token(shop: Shop, by: str) -> None:
    """RULES 14.7: the order is in the answer to the token, at once, each of many times."""
    for number in range(10):
        order_id, token = await shop.place(number)
        if by == "query":
            status, body, headers = await shop.get(f"/orders/{order_id}?after={token}")
        else:
            status, body, headers = await shop.get(f"/orders/{order_id}", Hocket_Token=token)
        assert (status, body["order"]["sku"], body["order"]["total_cents"]) == (200, "lamp", 100 + number)
        assert headers["View-Version"] == str(body["version"]) == "1"
        assert float(headers["View-Lag"]) == body["lag_seconds"] >= 0.0


async def test_a_token_that_nobody_gave_is_refused(shop: Shop) -> None:
    """400 that says so, and no wait."""
    status, body, _ = await shop.get("/orders?after=nonsense")
    assert status == 400
    assert "token" in body["error"]


async def test_orders_are_listed_by_filters_and_in_pages(shop: Shop) -> None:
    """Newest first, by state, customer and time; the cursor goes on where the page before ended."""
    placed = [(await shop.place(number, f"c{number % 2}@example.com"))[0] for number in range(5)]
    page = await shop.until("/orders", 5, "orders")
    assert [each["order_id"] for each in page["orders"]] == placed[::-1]
    assert "email" not in str(page)
    customer = page["orders"][0]["customer_id"]
    _, mine, _ = await shop.get(f"/orders?customer={customer}")
    assert [each["order_id"] for each in mine["orders"]] == placed[::-2]
    since, before = page["orders"][3]["placed_at"], page["orders"][1]["placed_at"]
    _, between, _ = await shop.get(f"/orders?from={since}&to={before}&state=placed")
    assert [each["order_id"] for each in between["orders"]] == placed[1:3][::-1]
    assert (await shop.get("/orders?state=shipped"))[1]["orders"] == []
    seen, cursor = list[str](), ""
    while cursor is not None:
        _, part, _ = await shop.get(f"/orders?limit=2&cursor={cursor}")
        seen, cursor = seen + [each["order_id"] for each in part["orders"]], part["next"]
    assert seen == placed[::-1]


async def test_a_customer_has_one_history_of_orders_and_leads(shop: Shop) -> None:
    """A lead and an order of one address stand in one history, newest first; nobody else's."""
    lead = {"email": "Ada@Example.com", "campaign": "spring"}
    async with shop.http.post(shop.url("ingress", "/leads"), json=lead, headers={"X-Delivery-Id": "d-1"}) as answer:
        assert answer.status == 202
    await shop.until("/history?type=lead.captured", 1, "history")
    order_id, token = await shop.place(1)
    await shop.place(2, "bob@example.com")
    _, body, _ = await shop.get(f"/orders/{order_id}?after={token}")
    history = await shop.until(f"/customers/{body['order']['customer_id']}/history", 2, "history")
    assert [each["type"] for each in history["history"]] == ["order.placed", "lead.captured"]
    assert [each["delivery"] for each in history["history"]] == ["", "d-1"]
    assert history["history"][0]["flow"] == body["order"]["flow"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/orders?state=lost", "state"),
        ("/orders?from=yesterday", "from"),
        ("/orders?to=9999-12-31T23:59:59-23:59", "to"),
        ("/orders?cursor=xyz", "cursor"),
        ("/orders?limit=501", "limit"),
    ],
)
async def test_what_is_malformed_is_named(shop: Shop, path: str, field: str) -> None:
    """422 with the part of the address."""
    status, body, _ = await shop.get(path)
    assert (status, [each["field"] for each in body["fields"]]) == (422, [field])


async def test_what_nobody_knows_is_404(shop: Shop) -> None:
    """With the version and the lag all the same: perhaps it was not heard of yet."""
    for path in ("/orders/NOBODY", "/customers/NOBODY/history", "/orders/a%0ab"):
        status, body, headers = await shop.get(path)
        assert (status, body["version"], "View-Lag" in headers) == (404, 1, True)
