"""Leads over real HTTP."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from services.ingress import ingress
from tests.services.running_service import serving

LEAD = {"email": "ada@example.com", "campaign": "spring"}


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """An ingress that runs."""
    async with serving(ingress, tmp_path) as session:
        yield session


async def _post(http: aiohttp.ClientSession, lead: object, delivery: str | None) -> tuple[int, Any]:
    headers = {} if delivery is None else {"X-Delivery-Id": delivery}
    async with http.post("/leads", json=lead, headers=headers) as answer:
        return answer.status, await answer.json()


async def test_the_same_delivery_gets_the_same_answer(http: aiohttp.ClientSession) -> None:
    """One after the other and at once: one flow for each delivery id."""
    status, first = await _post(http, LEAD, "d1")
    assert status == 202
    assert await _post(http, LEAD, "d1") == (202, first)
    assert (await _post(http, LEAD, "d2"))[1] != first
    answers = await asyncio.gather(*(_post(http, LEAD, "d3") for _ in range(20)))
    assert len({answer["flow"] for _, answer in answers}) == 1


async def test_a_lead_needs_its_delivery_id(http: aiohttp.ClientSession) -> None:
    """Without the header, or with one too long, 400."""
    for delivery in (None, "", "d" * 256):
        status, answer = await _post(http, LEAD, delivery)
        assert status == 400
        assert "X-Delivery-Id" in answer["error"]


@pytest.mark.parametrize(
    "email", ["a\u200db@example.com", "a\u202eb@example.com", *(f"{'a' * n}@b.com" for n in (245, 248))]
)
async def test_what_could_not_be_said_is_no_lead(http: aiohttp.ClientSession, email: str) -> None:
    """An address with a character that nobody sees, or of 251 to 254 characters: 422 that names the field, no 500."""
    status, answer = await _post(http, {"email": email}, "d1")
    assert (status, [each["field"] for each in answer["fields"]]) == (422, ["email"])
    assert (await _post(http, {"email": "a" * 244 + "@b.com"}, "d1"))[0] == 202


async def test_a_malformed_lead_names_its_fields(http: aiohttp.ClientSession) -> None:
    """422, and the same delivery id is still free."""
    status, answer = await _post(http, {"email": "nobody", "campaign": 7}, "d1")
    assert (status, {each["field"] for each in answer["fields"]}) == (422, {"email", "campaign"})
    assert (await _post(http, LEAD, "d1"))[0] == 202
