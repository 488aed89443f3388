"""Orders over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import sqlalchemy as sa

from hocket.envelope.token import decode_token
from services.orders import orders, storage
from services.orders.domain import Cancelling
from tests.services.running_service import serving

ORDER: dict[str, object] = {
    "customer": "Ada",
    "email": "ada@example.com",
    "card": "tok_1",
    "sku": "lamp",
    "quantity": 2,
    "total_cents": 999,
}


@pytest.fixture
async def http(tmp_path: Path, address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """An orders service that runs, once on SQLite and once on PostgreSQL."""
    async with serving(orders, tmp_path, address) as session:
        yield session


async def _post(http: aiohttp.ClientSession, order: object, key: str = "") -> tuple[int, Any]:
    async with http.post("/orders", json=order, headers={"Idempotency-Key": key} if key else {}) as answer:
        return answer.status, await answer.json()


async def _get(http: aiohttp.ClientSession, path: str) -> tuple[int, Any]:
    async with http.get(path) as answer:
        return answer.status, await answer.json()


async def test_an_order_is_placed_and_shown(http: aiohttp.ClientSession) -> None:
    """202 with id and flow; shown without the customer's address and card."""
    status, placed = await _post(http, ORDER)
    assert (status, placed["state"]) == (202, "placed")
    status, shown = await _get(http, f"/orders/{placed['order_id']}")
    assert status == 200
    assert shown.items() >= {"state": "placed", "reason": "", "flow": placed["flow"], "sku": "lamp"}.items()
    assert shown["placed_at"].endswith("Z")
    assert not {"email", "card"} & set(shown)
    assert (await _get(http, "/orders/NONE"))[0] == 404


async def test_the_same_key_gets_the_same_answer_and_no_second_order(http: aiohttp.ClientSession) -> None:
    """One after the other and at once; without a key every post is an order of its own."""
    first = await _post(http, ORDER, "key-1")
    assert await _post(http, ORDER, "key-1") == first
    answers = await asyncio.gather(*(_post(http, ORDER, "key-2") for _ in range(20)))
    assert len({(status, answer["order_id"], answer["flow"]) for status, answer in answers}) == 1
    assert (await _post(http, ORDER))[1]["order_id"] != (await _post(http, ORDER))[1]["order_id"]
    assert len((await _get(http, "/orders"))[1]["orders"]) == 4


async def test_a_key_belongs_to_one_order(http: aiohttp.ClientSession) -> None:
    """RULES 13.2: the same key with another order is 422, and nothing is placed."""
    await _post(http, ORDER, "key-1")
    assert (await _post(http, {**ORDER, "quantity": 3}, "key-1"))[0] == 422
    assert (await _post(http, ORDER, "k" * 256))[0] == 400
    assert len((await _get(http, "/orders"))[1]["orders"]) == 1


async def test_a_malformed_order_names_its_fields(http: aiohttp.ClientSession) -> None:
    """422 with every field that is wrong, never with what was in it."""
    status, answer = await _post(http, {**ORDER, "email": "secret-nobody", "quantity": 0, "card": None})
    assert (status, {each["field"] for each in answer["fields"]}) == (422, {"email", "quantity", "card"})
    assert "secret-nobody" not in str(answer)
    async with http.post("/orders", data=b"{not json") as broken:
        assert broken.status == 422


async def test_an_answer_has_the_token_of_what_was_said(http: aiohttp.ClientSession) -> None:
    """RULES 14.7: also where it is stored; placed and cancelled are two."""
    tokens = []
    for path, body in (("/orders", ORDER), ("/orders", ORDER), ("/orders/{}/cancellations", {})):
        order_id = (await _post(http, ORDER, "key-1"))[1]["order_id"] if "{}" in path else ""
        async with http.post(path.format(order_id), json=body, headers={"Idempotency-Key": "key-1"}) as answer:
            assert answer.status == 202
            tokens.append(answer.headers["Hocket-Token"])
    assert tokens[0] == tokens[1]
    types = [[fact.type for fact in decode_token(token)] for token in tokens[1:]]
    assert types == [["order.placed"], ["order.cancelled"]]


async def test_orders_are_read_by_pages(http: aiohttp.ClientSession) -> None:
    """`next` leads from page to page and ends with null; a page has a bound."""
    placed = [(await _post(http, ORDER))[1]["order_id"] for _ in range(5)]
    seen, after = list[str](), 0
    while after is not None:
        _, page = await _get(http, f"/orders?after={after}&limit=2")
        seen += [order["order_id"] for order in page["orders"]]
        after = page["next"]
    assert seen == placed
    for query in ("limit=501", "limit=0", "after=x", "after=-1"):
        assert (await _get(http, f"/orders?{query}"))[0] == 422


async def _forget() -> int:
    """The service has forgotten every answer, as it does after 30 days; how many."""
    async with orders.tx() as tx:
        return (await (await tx.db()).execute(sa.text("DELETE FROM hocket_commands"))).rowcount


async def test_a_key_that_is_forgotten_is_still_that_order(http: aiohttp.ClientSession) -> None:
    """The order itself remembers its key: the same answer, no second order; another order under it is 409."""
    first = await _post(http, ORDER, "old")
    assert await _forget() == 1
    assert await _post(http, ORDER, "old") == first
    assert await _forget() == 1
    assert (await _post(http, {**ORDER, "quantity": 3}, "old"))[0] == 409
    assert len((await _get(http, "/orders"))[1]["orders"]) == 1


async def _cancel(http: aiohttp.ClientSession, order_id: str, body: object = None) -> tuple[int, Any]:
    async with http.post(f"/orders/{order_id}/cancellations", json=body) as answer:
        return answer.status, await answer.json()


async def test_a_customer_cancels_in_a_flow_of_its_own(http: aiohttp.ClientSession) -> None:
    """202 with that flow; posted again, also at the same moment, the same answer; the order shows who and why."""
    _, placed = await _post(http, ORDER)
    order_id = placed["order_id"]
    answers = await asyncio.gather(*(_cancel(http, order_id, {"reason": "too dark"}) for _ in range(20)))
    first = answers[0][1]
    assert answers == [(202, first)] * 20
    assert (first["order_id"], first["state"]) == (order_id, "cancelled")
    assert first["flow"] != placed["flow"]
    assert await _cancel(http, order_id, {"reason": "another"}) == (202, first)
    _, shown = await _get(http, f"/orders/{order_id}")
    expected = {"state": "cancelled", "reason": "too dark", "cancelled_by": "customer", "cancelled_in": first["flow"]}
    assert shown.items() >= expected.items()


async def test_a_reason_is_not_needed(http: aiohttp.ClientSession) -> None:
    """No body at all, or one without a reason; a malformed one is 422 and cancels nothing."""
    one, two = [(await _post(http, ORDER))[1]["order_id"] for _ in range(2)]
    async with http.post(f"/orders/{one}/cancellations") as answer:
        assert answer.status == 202
    assert (await _cancel(http, two, {"reason": ""}))[0] == 422
    assert (await _get(http, f"/orders/{two}"))[1]["state"] == "placed"
    assert (await _cancel(http, two, {}))[0] == 202


async def test_what_cannot_be_cancelled_says_so(http: aiohttp.ClientSession) -> None:
    """404 where there is no such order, 409 with the reason where the shop has cancelled it already."""
    assert (await _cancel(http, "NONE", {}))[0] == 404
    order_id = (await _post(http, ORDER))[1]["order_id"]
    async with orders.tx() as tx:
        await storage.cancel(await tx.db(), order_id, Cancelling.SHOP, "no stock", flow="f")
    status, answer = await _cancel(http, order_id, {})
    assert (status, "no stock" in answer["error"]) == (409, True)
