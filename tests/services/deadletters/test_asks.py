"""What letters ask for at the desk (RULES 5.8), and what they are: of an undo, of a time-out, behind a breaker."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from hocket.clock import SystemClock, rfc3339
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


ALARM = json.dumps(
    {
        "specversion": "1.0", "id": "alarm-1", "source": "/crm", "type": "hocket.overdue", "subject": "order/3",
        "time": "2026-11-10T13:42:00Z", "datacontenttype": "application/json", "correlationid": "flow-3",
        "idempotencykey": "alarm-1", "data": {"run": "00", "n": 1, "armed": {}},
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


async def test_a_zombie_leads_to_its_flow(desk: RunningDesk) -> None:
    """From the list and from the letter, to the tracer."""
    for path in ("/letters", "/letters/letter-2"):
        async with desk.http.get(path) as answer:
            assert 'href="http://127.0.0.1:8080/flows/flow-2"' in await answer.text(), path


async def test_the_letter_of_a_timeout_says_so(desk: RunningDesk) -> None:
    """RULES 5.7: it had fired; that is its kind, not its cause. It is an open letter."""
    await desk.dead(dead(3, body=ALARM))
    letter = await desk.letter("letter-3")
    assert (letter["overdue"], letter["asks"], letter["cause"]) == (True, "open letter", "KeyError")
    assert (await desk.letter("letter-1"))["overdue"] is False
    for path in ("/", "/letters", "/letters/letter-3"):
        async with desk.http.get(path) as answer:
            assert "that fired" in await answer.text(), path
    async with desk.http.get("/letters/letter-1") as answer:
        assert "that fired" not in await answer.text()


async def test_letters_behind_an_open_breaker_say_that_a_replay_waits(desk: RunningDesk) -> None:
    """RULES 6.1: by its service's last heartbeat; nothing is said of a closed one, nor of a settled letter."""
    now = SystemClock().now()
    beat = {"kind": "heartbeat", "service": "crm", "instance": "crm-1", "boot": "b", "time": rfc3339(now)}
    shut = {"state": "open", "until": rfc3339(now + timedelta(seconds=40))}
    await desk.told({**beat, "breakers": {"crm-api": shut}})
    for path in ("/", "/letters", "/letters/letter-1"):
        async with desk.http.get(path) as answer:
            text = await answer.text()
        assert "crm-api" in text, path
        assert "#m-switch-open" in text, path
    await desk.told(
        {**beat, "time": rfc3339(now + timedelta(microseconds=1)), "breakers": {"crm-api": {"state": "closed"}}}
    )
    for path in ("/", "/letters", "/letters/letter-1"):
        async with desk.http.get(path) as answer:
            assert "#m-switch-open" not in await answer.text(), path
