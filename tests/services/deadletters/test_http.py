"""The desk's API: letters stored whole, settled by receipts, replayed and discarded, never by a foreign page."""

from collections.abc import AsyncIterator
from urllib.parse import quote

import pytest

from hocket.envelope import CONTENT_TYPE
from hocket.observe import Raw
from tests.services.deadletters.running_desk import ACT, RunningDesk, dead, event, manifest, receipt, running_desk, time


@pytest.fixture
async def desk(address: str) -> AsyncIterator[RunningDesk]:
    """A running desk without letters."""
    async with running_desk(address) as made:
        yield made


async def test_a_letter_is_kept_whole_with_its_cause_and_attempts(desk: RunningDesk) -> None:
    """What died is readable by its identity: cause, attempts, event, and its sensitive fields masked."""
    await desk.told(manifest())
    await desk.dead(dead())
    letter = await desk.letter("letter-1")
    assert letter["state"] == "pending"
    assert (letter["subscription"], letter["cause"], letter["attempt"]) == ("crm.record_order", "KeyError", 5)
    assert [run["attempt"] for run in letter["arrivals"][0]["history"]] == [3, 4, 5]
    assert letter["event"] == {
        "id": "event-1", "source": "/orders", "type": "order.placed", "version": 1, "subject": "order/1",
        "correlationid": "flow-1", "time": time(1),
    }  # fmt: skip
    assert letter["owner"] == "team-growth"
    assert letter["masked"] == ["email"]
    assert letter["data"]["total_cents"] == 12990
    assert "ada1@example.com" not in str(letter)


async def test_an_event_no_manifest_names_is_masked_whole(desk: RunningDesk) -> None:
    """RULES 18.3: before a service has said which fields are sensitive, no value is shown."""
    await desk.dead(dead())
    letter = await desk.letter("letter-1")
    assert letter["masked"] == ["email", "order_id", "total_cents"]
    assert "12990" not in str(letter)


async def test_a_second_arrival_reopens_the_letter(desk: RunningDesk) -> None:
    """RULES 8.1: the same letter again adds to its history and waits anew; the same copy twice counts once."""
    await desk.dead(dead())
    await desk.act("letter-1", "replay", 202)
    assert (await desk.letter("letter-1"))["state"] == "replaying"
    again = dead(attempt=10, replay=desk.sent[0][3])
    await desk.dead(again, again)
    letter = await desk.letter("letter-1")
    assert (letter["state"], letter["says"], letter["again"]) == ("pending", "failed again once", 1)
    assert [arrival["attempt"] for arrival in letter["arrivals"]] == [5, 10]
    assert (await desk.act("letter-1", "replay", 202))["attempt"] == 11


async def test_a_replay_dying_under_another_identity_is_the_same_letter(desk: RunningDesk) -> None:
    """RULES 8.4: a letter without an inbox row gets one when its replay runs; both ids lead to the one letter."""
    await desk.dead(dead(death_cause="version", attempt=1))
    await desk.act("letter-1", "replay", 202)
    await desk.dead(dead(attempt=6, death_id="minted-later", replay=desk.sent[0][3]))
    assert (await desk.letter("minted-later"))["id"] == "letter-1"
    assert len((await desk.letters())["letters"]) == 1


async def test_a_later_handled_receipt_settles(desk: RunningDesk) -> None:
    """RULES 8.2: handled at a later attempt settles an open letter, by a replay or by another way."""
    await desk.dead(dead(1), dead(2))
    await desk.act("letter-1", "replay", 202)
    await desk.told(receipt(1, 6, replay=desk.sent[0][3]), receipt(2, 6))
    letter = await desk.letter("letter-1")
    assert letter["state"] == "handled"
    assert letter["settled"]["replay"] == desk.sent[0][3]
    assert (await desk.letter("letter-2"))["state"] == "handled"
    refused = await desk.act("letter-1", "replay", 409)
    assert "handled already" in refused["error"]


async def test_a_receipt_may_come_before_the_letter(desk: RunningDesk) -> None:
    """RULES 8.2: the order of arrival of letter and receipt does not matter."""
    await desk.told(receipt(1, 6), receipt(2, 4, "retry"))
    await desk.dead(dead(1), dead(2))
    assert (await desk.letter("letter-1"))["state"] == "handled"
    assert (await desk.letter("letter-2"))["state"] == "pending"


async def test_a_receipt_of_an_earlier_attempt_settles_nothing(desk: RunningDesk) -> None:
    """RULES 8.2: only a later attempt than the letter's counts."""
    await desk.dead(dead())
    await desk.told(receipt(1, 5), receipt(1, 2))
    assert (await desk.letter("letter-1"))["state"] == "pending"


async def test_an_obsolete_receipt_settles_as_obsolete(desk: RunningDesk) -> None:
    """RULES 5.6: a replay of what was undone ends obsolete, and so does its letter."""
    await desk.dead(dead())
    await desk.act("letter-1", "replay", 202)
    await desk.told(receipt(1, 6, "obsolete", replay=desk.sent[0][3]))
    assert (await desk.letter("letter-1"))["state"] == "obsolete"


async def test_what_has_spoken_is_obsolete_and_not_replayed(desk: RunningDesk) -> None:
    """RULES 5.5: what on_dead said stands, so the replay is refused with that sentence."""
    await desk.dead(dead(death_spoke=1))
    assert (await desk.letter("letter-1"))["state"] == "obsolete"
    assert "on_dead said what follows" in (await desk.act("letter-1", "replay", 409))["error"]
    assert desk.sent == []


async def test_a_conflict_is_not_replayed_as_it_is(desk: RunningDesk) -> None:
    """RULES 8.2: a conflict letter is refused, and the winner's receipts do not settle it."""
    await desk.dead(dead(attempt=1, death_cause="conflict"))
    await desk.told(receipt(1, 2))
    assert (await desk.letter("letter-1"))["state"] == "pending"
    assert "conflict" in (await desk.act("letter-1", "replay", 409))["error"]
    assert (await desk.act("letter-1", "discard", 200))["state"] == "discarded"


async def test_a_replay_is_the_same_bytes_to_one_subscription(desk: RunningDesk) -> None:
    """RULES 8.4: same body, the one subscription, one attempt more than the letter's, an id of its own."""
    await desk.dead(dead(attempt=5))
    async with desk.http.get("/api/dead/letter-1/replay") as answer:
        plan = await answer.json()
    assert (plan["would_send"], plan["subscription"], plan["attempt"]) == (True, "crm.record_order", 6)
    assert desk.sent == []
    done = await desk.act("letter-1", "replay", 202, "region is back")
    [(subscription, body, content_type, replay, attempt)] = desk.sent
    assert (subscription, body, content_type, attempt) == ("crm.record_order", event(1), CONTENT_TYPE, 6)
    assert done == {
        "letter": "letter-1", "replay": replay, "subscription": "crm.record_order", "attempt": 6, "sent": True,
    }  # fmt: skip
    [act] = (await desk.letter("letter-1"))["acts"]
    assert (act["kind"], act["reason"], act["who"]) == ("replay", "region is back", "127.0.0.1")


async def test_a_pending_replay_is_not_sent_twice(desk: RunningDesk) -> None:
    """A replay without an answer is refused with the sentence that says since when it waits."""
    await desk.dead(dead())
    await desk.act("letter-1", "replay", 202)
    assert "replay was sent at" in (await desk.act("letter-1", "replay", 409))["error"]
    assert len(desk.sent) == 1


async def test_a_send_that_failed_is_repeated_under_the_same_id(desk: RunningDesk) -> None:
    """The act stands although the broker did not take it; asked again it keeps its replay id and attempt."""
    await desk.dead(dead())
    desk.refuses = "no broker at 127.0.0.1:5672"
    failed = await desk.act("letter-1", "replay", 503)
    assert "no broker at 127.0.0.1:5672" in failed["error"]
    letter = await desk.letter("letter-1")
    assert (letter["state"], letter["acts"][0]["sent"]) == ("replaying", None)
    assert "no broker" in letter["acts"][0]["failure"]
    desk.refuses = ""
    done = await desk.act("letter-1", "replay", 202)
    assert (done["replay"], done["attempt"]) == (failed["replay"], 6)
    assert len((await desk.letter("letter-1"))["acts"]) == 1


async def test_a_duplicate_ends_a_replay(desk: RunningDesk) -> None:
    """A replay that met an inbox which knew it leaves the letter to a person: nobody said that it was handled."""
    await desk.dead(dead())
    await desk.act("letter-1", "replay", 202)
    await desk.told(receipt(1, 6, "duplicate", replay=desk.sent[0][3]))
    assert (await desk.letter("letter-1"))["state"] == "pending"
    await desk.act("letter-1", "replay", 202)


async def test_a_discard_needs_a_reason_and_holds_until_it_dies_again(desk: RunningDesk) -> None:
    """A discarded letter is settled by a person, with the reason; a new death re-opens it."""
    await desk.dead(dead())
    assert "needs a reason" in (await desk.act("letter-1", "discard", 409, " "))["error"]
    await desk.act("letter-1", "discard", 200, "test data")
    assert (await desk.letter("letter-1"))["state"] == "discarded"
    assert "discarded" in (await desk.act("letter-1", "replay", 409))["error"]
    await desk.dead(dead(attempt=7))
    assert (await desk.letter("letter-1"))["state"] == "pending"


@pytest.mark.parametrize("act", ["replay", "discard"])
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site", "X-Hocket-Act": "1"},
        {"Origin": "http://evil.example", "X-Hocket-Act": "1"},
    ],
)
@pytest.mark.parametrize("path", ["/api/dead/letter-1", "/letters/letter-1"])
async def test_a_foreign_page_cannot_act(desk: RunningDesk, act: str, headers: dict[str, str], path: str) -> None:
    """An act needs a same-origin request or a program's header: everything else is 403 and does nothing."""
    await desk.dead(dead())
    async with desk.http.post(f"{path}/{act}", data={"reason": "evil"}, headers=headers) as answer:
        assert answer.status == 403
    assert desk.sent == []
    assert (await desk.letter("letter-1"))["state"] == "pending"


async def test_our_own_page_can_act(desk: RunningDesk) -> None:
    """The origin of the desk itself, as a browser sends it, may act; then its page says what was done."""
    await desk.dead(dead())
    own = {"Origin": desk.url, "Sec-Fetch-Site": "same-origin"}
    form = {"reason": "mended"}
    async with desk.http.post("/letters/letter-1/replay", data=form, headers=own, allow_redirects=False) as answer:
        assert (answer.status, answer.headers["Location"]) == (303, "/letters/letter-1")
    assert len(desk.sent) == 1


async def test_letters_are_listed_by_pages_and_filters(desk: RunningDesk) -> None:
    """Oldest first, in pages that hold while new ones come, by state, cause and subscription."""
    await desk.dead(*(dead(number) for number in range(1, 6)), dead(6, death_cause="rejected"))
    await desk.act("letter-2", "discard", 200)
    first = await desk.letters("?limit=2")
    assert [letter["id"] for letter in first["letters"]] == ["letter-1", "letter-2"]
    second = await desk.letters(f"?limit=2&after={first['next']}")
    assert [letter["id"] for letter in second["letters"]] == ["letter-3", "letter-4"]
    assert first["counts"] == {"pending": 5, "replaying": 0, "handled": 0, "discarded": 1, "obsolete": 0}
    assert [letter["id"] for letter in (await desk.letters("?state=discarded"))["letters"]] == ["letter-2"]
    assert [letter["id"] for letter in (await desk.letters("?cause=rejected"))["letters"]] == ["letter-6"]
    assert (await desk.letters("?subscription=crm.other"))["letters"] == []
    assert (await desk.letters(f"?after={2**62}"))["letters"] == []


@pytest.mark.parametrize("query", ["state=lost", "limit=0", "limit=501", "after=x", "after=-1", "colour=red"])
async def test_a_wrong_query_names_its_field(desk: RunningDesk, query: str) -> None:
    """A filter that cannot be meant is 400 and says which."""
    async with desk.http.get(f"/api/dead?{query}") as answer:
        assert answer.status == 400
        assert query.partition("=")[0] in (await answer.json())["error"]
        assert "nput should" not in (await answer.json())["error"]


async def test_a_wrong_state_is_answered_with_the_right_ones(desk: RunningDesk) -> None:
    """A sentence of our own, not that of a library."""
    async with desk.http.get("/api/dead?state=bogus&limit=0") as answer:
        assert (await answer.json())["error"] == (
            "state=bogus is no state of a letter: give one of pending, replaying, handled, discarded, obsolete, or "
            "none for all; limit=0: give a whole number from 1 to 500"
        )


async def test_an_unknown_letter_is_404(desk: RunningDesk) -> None:
    """For reading and for acting."""
    for path in ("/api/dead/none", "/api/dead/none/replay"):
        async with desk.http.get(path) as answer:
            assert answer.status == 404
            assert "no letter none" in (await answer.json())["error"]
    await desk.act("none", "replay", 404)


async def test_a_wrong_body_of_an_act_is_400(desk: RunningDesk) -> None:
    """A body that is no JSON object of a reason is refused before anything is done."""
    await desk.dead(dead())
    for body in (b"{", b"[]", b'{"reason": 1}', b'{"cause": "x"}'):
        async with desk.http.post("/api/dead/letter-1/replay", data=body, headers=ACT) as answer:
            assert answer.status == 400
    assert desk.sent == []


async def test_an_undecodable_letter_is_kept_and_can_be_replayed_with_a_warning(desk: RunningDesk) -> None:
    """What no reader understood keeps its bytes; the dry run says that it would die again."""
    body = b"\xff\xfe not JSON"
    await desk.dead(dead(attempt=1, body=body, death_cause="undecodable"), dead(2))
    letter = await desk.letter("letter-1")
    assert (letter["event"], letter["data"], letter["raw"], letter["bytes"]) == (None, None, None, len(body))
    async with desk.http.get("/api/dead/letter-1/replay") as answer:
        plan = await answer.json()
    assert plan["would_send"]
    assert any("could not be decoded" in warning for warning in plan["warnings"])
    await desk.act("letter-1", "replay", 202)
    assert desk.sent[0][1] == body
    async with desk.http.get("/letters/letter-1/body") as answer:
        assert await answer.read() == body


async def test_a_death_made_by_the_broker_has_an_identity_of_its_own(desk: RunningDesk) -> None:
    """RULES 8.1: of a death made by the broker queue, body and first death are the letter's identity."""
    headers = {"x-death": [{"queue": "crm.record_order", "reason": "delivery_limit", "count": 1, "time": time(3)}]}
    raw = Raw(event(1), headers, None, CONTENT_TYPE, "crm.record_order")
    await desk.dead(raw, raw)
    [letter] = (await desk.letters())["letters"]
    assert (letter["subscription"], letter["cause"], letter["attempt"]) == ("crm.record_order", "delivery_limit", 1)
    await desk.told(receipt(1, 1))
    assert (await desk.letter(letter["id"]))["state"] == "handled"


async def test_a_binary_event_is_replayed_as_one_body(desk: RunningDesk) -> None:
    """RULES 1.5: what stood in headers as attributes is sent in one body; a publisher's other headers go with it."""
    foreign = (
        '{"cloudEvents_specversion": "1.0", "cloudEvents_id": "f-1", "cloudEvents_source": "/shop", '
        '"cloudEvents_type": "order.placed", "tenant": "north"}'
    )
    raw = dead(1, body=b'{"order_id": "1"}', death_headers=foreign)
    await desk.dead(Raw(raw.body, raw.headers, None, "application/json", raw.routing_key))
    letter = await desk.letter("letter-1")
    assert (letter["event"]["id"], letter["event"]["source"]) == ("f-1", "/shop")
    await desk.act("letter-1", "replay", 202)
    [(_, body, content_type, _, _)] = desk.sent
    assert content_type == CONTENT_TYPE
    assert b'"id":"f-1"' in body
    assert desk.headers["tenant"] == "north"


async def test_an_open_breaker_is_a_warning(desk: RunningDesk) -> None:
    """The dry run says when a replay would only wait."""
    await desk.told(manifest())
    await desk.told({
        "kind": "heartbeat", "service": "crm", "time": time(1), "breakers": {"crm-api": {"state": "open"}},
    })  # fmt: skip
    await desk.dead(dead())
    async with desk.http.get("/api/dead/letter-1/replay") as answer:
        plan = await answer.json()
    assert any("Breaker crm-api is open" in warning for warning in plan["warnings"])
    assert plan["then"] == "If it is handled, it may say order.recorded."


async def test_hostile_letters_and_receipts_stop_nobody(desk: RunningDesk) -> None:
    """An undecodable message is a letter like others, its neighbours unharmed, and every page still opens."""
    nasty = "\x00\ud800\u202e" + "9" * 400
    hostile = [
        Raw(b"", {}, None, "", ""),
        Raw(b"\xff" * 100_000, {"hocket-death-id": nasty, "hocket-death-error": nasty, "x-death": [nasty, {}]}),
        dead(2, death_attempt=nasty, death_time=nasty, death_history="[[[", death_headers='{"cloudEvents_id": 1}'),
        dead(3, body=event(3, deep={"a": [{"b": "\u202e"}] * 700})),
        dead(4, death_history=f'[{{"error": "\\ud800", "trace": "{"x" * 30_000}", "attempt": 1e9}}]'),
    ]
    await desk.dead(*hostile, dead(1))
    await desk.told(
        receipt(1, 2, error=nasty, outcome=nasty),
        receipt(1, 2, "retry", replay=nasty, error=nasty),
        {"kind": "receipt", "event": {"id": [1]}, "attempt": -1, "outcome": "handled"},
        {**manifest(), "subscriptions": "none"},
        {"kind": "heartbeat", "service": 1},
        {**manifest(), "service": nasty[0], "owner": nasty, "sensitive": {"\x00": ["\x00"]}},
    )
    found = (await desk.letters())["letters"]
    assert len(found) == len(hostile) + 1
    assert (await desk.letter("letter-1"))["state"] == "pending"
    for letter in found:
        for view in ("tree", "raw", "hex", "headers"):
            async with desk.http.get(f"/letters/{quote(letter['id'], safe='')}?view={view}") as answer:
                assert answer.status == 200
    for page in ("/", "/letters", "/?show=all"):
        async with desk.http.get(page) as answer:
            assert answer.status == 200
