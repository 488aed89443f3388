"""Deliveries over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.shipping import shipping, storage
from tests.services.running_service import serving

FLOW = "0198c5b8-0000-7000-8000-000000000001"


@pytest.fixture
async def http(tmp_path: Path, address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A shipping service that runs, on SQLite and on PostgreSQL; its carrier has the parcel of order A1."""
    async with serving(shipping, tmp_path, address) as session:
        async with shipping.tx() as tx:
            await storage.note_parcel(await tx.db(), "A1", "pa_1", FLOW)
        yield session


async def _post(http: aiohttp.ClientSession, delivery: object) -> tuple[int, Any]:
    async with http.post("/deliveries", json=delivery) as answer:
        return answer.status, await answer.json()


async def test_a_parcel_arrives_once(http: aiohttp.ClientSession) -> None:
    """Told again, also at the same moment, it gives the same answer; it belongs to the flow of its order."""
    answers = await asyncio.gather(*(_post(http, {"order_id": "A1"}) for _ in range(10)))
    assert answers == [(202, {"order_id": "A1", "parcel_id": "pa_1", "flow": FLOW})] * 10


async def test_a_parcel_that_was_called_back_does_not_arrive(http: aiohttp.ClientSession) -> None:
    """409 with its id; what is unknown is 404, what makes no sense 422."""
    async with shipping.tx() as tx:
        await storage.note_recall(await tx.db(), "A1")
    status, answer = await _post(http, {"order_id": "A1"})
    assert (status, "pa_1" in answer["error"]) == (409, True)
    assert (await _post(http, {"order_id": "A2"}))[0] == 404
    assert (await _post(http, {"order_id": ""}))[0] == 422
    assert (await _post(http, []))[0] == 422
