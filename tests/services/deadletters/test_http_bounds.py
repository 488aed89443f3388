"""The desk over HTTP: whom it believes, and how much it answers (docs/security.md)."""

from collections.abc import AsyncIterator

import pytest

from tests.services.deadletters.running_desk import ACT, RunningDesk, dead, running_desk


@pytest.fixture
async def desk(address: str) -> AsyncIterator[RunningDesk]:
    """A running desk without letters."""
    async with running_desk(address) as made:
        yield made


async def test_nobody_vouches_for_a_name_in_a_header(desk: RunningDesk) -> None:
    """The act names the address that it came from: anyone could send `X-Forwarded-User`."""
    await desk.dead(dead())
    headers = {**ACT, "X-Forwarded-User": "mia"}
    async with desk.http.post("/api/dead/letter-1/replay", headers=headers) as answer:
        assert answer.status == 202
    assert (await desk.letter("letter-1"))["acts"][0]["who"] == "127.0.0.1"


async def test_the_answer_about_one_letter_is_bounded(desk: RunningDesk) -> None:
    """Of 120 arrivals the newest 50; `earlier` leads to the others, each once."""
    for number in range(1, 121):
        await desk.dead(dead(1, attempt=number))
    attempts: list[int] = []
    earlier: int | None = 0
    while earlier is not None:
        async with desk.http.get(f"/api/dead/letter-1?earlier={earlier}") as answer:
            found = await answer.json()
        assert len(found["arrivals"]) <= 50
        attempts = [each["attempt"] for each in found["arrivals"]] + attempts
        earlier = found["earlier"]
    assert attempts == list(range(1, 121))
    async with desk.http.get("/api/dead/letter-1?earlier=x") as answer:
        assert answer.status == 400
