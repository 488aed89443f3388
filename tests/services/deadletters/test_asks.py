"""RULES 5.8 at the desk: the letter of an undo is a zombie's, every other one that waits is an open letter."""

import json
from collections.abc import AsyncIterator

import pytest

from hocket.saga import Standing
from services.deadletters.fold.state import OPEN, State, asks_for
from tests.services.deadletters.running_desk import RunningDesk, dead, manifest, running_desk


@pytest.fixture
async def desk(address: str) -> AsyncIterator[RunningDesk]:
    """A desk with the letter of an event and that of an undo."""
    async with running_desk(address) as made:
        await made.told(manifest())
        await made.dead(dead(1), dead(2, body=UNDO))
        yield made


UNDO = json.dumps(
    {
        "specversion": "1.0", "id": "undo-1", "source": "/crm", "type": "hocket.undo", "subject": "order/2",
        "time": "2026-11-10T13:42:00Z", "datacontenttype": "application/json", "correlationid": "flow-2",
        "idempotencykey": "undo-1", "data": {"run": "r", "n": 1, "why": {}},
    }
).encode()  # fmt: skip


@pytest.mark.parametrize("state", State)
def test_what_a_letter_asks_for_follows_from_state_and_type(state: State) -> None:
    """RULES 5.8: a letter that is settled asks for nothing."""
    waits = state in OPEN
    assert asks_for(state, "hocket.undo") is (Standing.ZOMBIE if waits else Standing.NONE)
    assert asks_for(state, "order.placed") is (Standing.OPEN_LETTER if waits else Standing.NONE)


async def test_the_letter_of_an_undo_is_a_zombie_until_it_is_settled(desk: RunningDesk) -> None:
    """RULES 5.8: API and pages name it with its owner; a discard settles it."""
    asked = {each["id"]: (each["asks"], each["owner"]) for each in (await desk.letters())["letters"]}
    assert asked == {"letter-1": ("open letter", "team-growth"), "letter-2": ("zombie", "team-growth")}
    for path, said in [("/", "1 of them a zombie"), ("/letters", "zombie"), ("/letters/letter-2", "team-growth")]:
        async with desk.http.get(path) as answer:
            assert said in await answer.text(), path
    async with desk.http.get("/letters/letter-1") as answer:
        assert "zombie" not in await answer.text()
    await desk.act("letter-2", "discard", 200)
    assert (await desk.letter("letter-2"))["asks"] is None
    async with desk.http.get("/") as answer:
        assert "zombie" not in await answer.text()
