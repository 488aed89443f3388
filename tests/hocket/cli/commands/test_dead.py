"""`hocket dead` against a real desk."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.hocket.cli.terminal import Ended, Terminal
from tests.services.deadletters.running_desk import RunningDesk, dead, manifest, running_desk
from tests.services.deadletters.test_asks import ALARM, UNDO


@pytest.fixture
async def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RunningDesk]:
    """A desk with two letters, found by HOCKET_DESK_URL."""
    async with running_desk(f"sqlite:///{tmp_path}/desk.db") as made:
        await made.told(manifest())
        await made.dead(dead(1), dead(2))
        monkeypatch.setenv("HOCKET_DESK_URL", made.url)
        yield made


async def test_list_shows_what_waits(hocket: Terminal, desk: RunningDesk) -> None:
    """One line for each letter, with its whole id for the next command; closed ones only on request."""
    await desk.act("letter-2", "discard", 200)
    ended = await asyncio.to_thread(hocket, "dead", "list")
    head, *lines = ended.out.splitlines()
    assert ended.status == 0
    assert head.split() == ["LETTER", "STATE", "ASKS", "SUBSCRIPTION", "OWNER", "SUBJECT", "ATTEMPTS", "DIED", "CAUSE"]
    [line] = lines
    assert re.split(" {2,}", line)[:7] == [
        "letter-1", "pending", "open letter", "crm.record_order", "team-growth", "order/1", "5",
    ]  # fmt: skip
    both = await asyncio.to_thread(hocket, "dead", "list", "--state", "any", "--limit", "1")
    assert "More: --after 1" in both.out
    none = await asyncio.to_thread(hocket, "dead", "list", "--state", "handled")
    assert (none.status, none.out) == (0, "No letter is handled.\n")


async def test_a_state_that_no_letter_has_is_answered_with_those_there_are(hocket: Terminal, desk: RunningDesk) -> None:
    """A plain sentence, status 1."""
    ended = await asyncio.to_thread(hocket, "dead", "list", "--state", "bogus")
    assert ended.status == 1
    assert "state=bogus is no state of a letter: give one of pending, replaying, handled" in ended.err
    assert "Input should" not in ended.err


async def test_show_names_a_timeout(hocket: Terminal, desk: RunningDesk) -> None:
    """RULES 5.7: what died was a time-out that had fired."""
    await desk.dead(dead(3, body=ALARM))
    ended = await asyncio.to_thread(hocket, "dead", "show", "letter-3")
    assert "time-out     it had fired: nothing answered it in time" in ended.out
    assert "time-out" not in (await asyncio.to_thread(hocket, "dead", "show", "letter-1")).out


async def test_show_tells_the_letter(hocket: Terminal, desk: RunningDesk) -> None:
    """The event, the cause, the attempts, and the data with sensitive fields masked."""
    ended = await asyncio.to_thread(hocket, "dead", "show", "letter-1")
    assert ended.status == 0
    for part in ("KeyError: 'region'", "order/1", "team-growth", "flow-1", "possible", "12990", "masked"):
        assert part in ended.out
    assert "ada1@example.com" not in ended.out
    _, stack = ended.out.split("Stack of attempt 5:\n")
    assert stack.splitlines()[0].startswith("  Traceback")


async def test_an_error_without_a_text_is_shown_once(hocket: Terminal, desk: RunningDesk) -> None:
    """Its class is its cause; in the list, and in what one letter shows."""
    await desk.dead(dead(3, death_cause="ValueError", death_error="ValueError"))
    listed = await asyncio.to_thread(hocket, "dead", "list")
    [line] = [each for each in listed.out.splitlines() if each.startswith("letter-3")]
    assert line.split()[-1] == "ValueError"
    assert line.count("ValueError") == 1
    shown = await asyncio.to_thread(hocket, "dead", "show", "letter-3")
    assert "cause        ValueError\n" in shown.out
    async with desk.http.get("/letters/letter-3", headers={"Accept": "text/html"}) as page:
        text = re.sub("<[^>]+>", "", await page.text())
    assert "ValueError in crm.record_order" in text
    assert "ValueError: ValueError" not in text


async def test_replay_says_first_what_it_would_do(hocket: Terminal, desk: RunningDesk) -> None:
    """`--dry-run` sends nothing; without it the letter goes to its one subscription; a second time is refused."""
    would = await asyncio.to_thread(hocket, "dead", "replay", "letter-1", "--dry-run")
    assert (would.status, would.out.splitlines()[0]) == (
        0,
        "Would be sent to crm.record_order as attempt 6. If it is handled, it may say order.recorded.",
    )
    assert desk.sent == []
    done = await asyncio.to_thread(hocket, "dead", "replay", "letter-1", "--reason", "region is back")
    assert (done.status, done.out) == (0, f"Sent to crm.record_order as attempt 6, replay {desk.sent[0][3]}.\n")
    again = await asyncio.to_thread(hocket, "dead", "replay", "letter-1")
    assert again.status == 1
    assert "replay was sent at" in again.err
    assert (await asyncio.to_thread(hocket, "dead", "replay", "letter-1", "--dry-run")).status == 1
    assert len(desk.sent) == 1


async def test_discard_needs_a_reason(hocket: Terminal, desk: RunningDesk) -> None:
    """A letter is discarded only with a reason."""
    assert (await asyncio.to_thread(hocket, "dead", "discard", "letter-1")).status == 2
    done = await asyncio.to_thread(hocket, "dead", "discard", "letter-1", "--reason", "a test order")
    assert (done.status, done.out) == (0, "Discarded letter-1.\n")
    assert (await desk.letter("letter-1"))["acts"][0]["reason"] == "a test order"


async def test_json_is_the_desks_answer(hocket: Terminal, desk: RunningDesk) -> None:
    """`--json` prints the desk's answer, also if it refuses."""
    listed = await asyncio.to_thread(hocket, "dead", "list", "--json")
    assert [letter["id"] for letter in json.loads(listed.out)["letters"]] == ["letter-1", "letter-2"]
    shown = await asyncio.to_thread(hocket, "dead", "show", "letter-1", "--json")
    assert json.loads(shown.out) == await desk.letter("letter-1")
    refused = await asyncio.to_thread(hocket, "dead", "show", "none", "--json")
    assert refused.status == 1
    assert "no letter none" in json.loads(refused.out)["error"]


async def test_a_letter_that_is_not_there_is_status_1(hocket: Terminal, desk: RunningDesk) -> None:
    """An unknown letter ends with status 1 and the desk's message."""
    ended: Ended = await asyncio.to_thread(hocket, "dead", "show", "none")
    assert (ended.status, ended.out) == (1, "")
    assert "There is no letter none" in ended.err


async def test_no_desk_is_one_sentence(hocket: Terminal, unused_tcp_port: int) -> None:
    """Status 2, the address, and how to give another."""
    ended = await asyncio.to_thread(hocket, "dead", "list", "--desk", f"http://127.0.0.1:{unused_tcp_port}")
    assert ended.status == 2
    assert ended.err.startswith(f"hocket: no desk answers at http://127.0.0.1:{unused_tcp_port}")
    assert "--desk" in ended.err
    assert (await asyncio.to_thread(hocket, "dead", "list", "--desk", "ftp://desk")).status == 2


async def test_what_is_shown_cannot_command_the_terminal(hocket: Terminal, desk: RunningDesk) -> None:
    """Control and bidi characters of a letter are printed as their code points."""
    await desk.dead(dead(3, death_error="\x1b[2Jgone\u202e"))
    ended = await asyncio.to_thread(hocket, "dead", "list")
    assert "U+001B[2JgoneU+202E" in ended.out
    assert "\x1b" not in ended.out


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://[::1", "file:///desk", ""])
def test_an_address_that_is_none_is_one_sentence(
    address: str, hocket: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the option or the setting: status 2, without a traceback."""
    monkeypatch.setenv("HOCKET_DESK_URL", "http://[::1")
    ended = hocket("dead", "list", "--desk", address)
    assert ended.status == 2
    assert f"the desk's address {address or 'http://[::1'!r} is invalid; give http://HOST:PORT" in ended.err


async def test_list_names_zombies_and_their_owners(hocket: Terminal, desk: RunningDesk) -> None:
    """RULES 5.8: the letter of an undo is a zombie, with the owner who mends it; `show` says so too."""
    await desk.dead(dead(3, body=UNDO))
    ended = await asyncio.to_thread(hocket, "dead", "list")
    zombie = next(line for line in ended.out.splitlines() if line.startswith("letter-3"))
    assert re.split(" {2,}", zombie)[2:5] == ["zombie", "crm.record_order", "team-growth"]
    shown = await asyncio.to_thread(hocket, "dead", "show", "letter-3")
    assert "asks         zombie" in shown.out
