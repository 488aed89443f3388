"""The tracer over HTTP, run as `hocket run` runs it, its streams filled by hand."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from hocket.clock import rfc3339
from hocket.console.pages import POLICY
from tests.services.tracer.running_tracer import Tracing, heartbeats, tracing
from tests.services.tracer.sample_facts import START, Story, happy, mail_dead, rejected


@pytest.fixture
async def shop(address: str) -> AsyncIterator[Tracing]:
    """A tracer that has read one order of each kind."""
    async with tracing(address) as found:
        await found.report(heartbeats(**{"card-api": {"state": "open", "since": rfc3339(START)}}))
        await found.tell(happy(1), rejected(2), rejected(3, undo="dead"), mail_dead(4), happy(5).until(1.5))
        yield found


async def test_flows(shop: Tracing) -> None:
    """The list is paged, narrowed by state, type, service and text, and each page leads to the next."""
    async with shop.http.get("/api/flows?limit=2") as answer:
        first = await answer.json()
    assert len(first["flows"]) == 2
    async with shop.http.get(first["next"]) as answer:
        second = await answer.json()
    async with shop.http.get(second["next"]) as answer:
        third = await answer.json()
    assert third["next"] is None
    every = [each["subject"] for page in (first, second, third) for each in page["flows"]]
    assert sorted(every) == [f"order/{number}" for number in range(1, 6)]

    async def subjects(query: str) -> set[str]:
        async with shop.http.get(f"/api/flows?{query}") as answer:
            assert answer.status == 200
            return {each["subject"] for each in (await answer.json())["flows"]}

    assert await subjects("state=zombie") == {"order/3"}
    assert await subjects("state=waiting") == {"order/5"}
    assert await subjects("type=payment.refunded") == {"order/2"}
    assert await subjects("service=notifications&state=open-letter") == {"order/4"}
    assert await subjects("q=order/2") == {"order/2"}
    assert await subjects("q=order.cancelled") == {"order/2", "order/3"}
    assert await subjects("q=%25") == set()


async def test_a_flow_with_every_fact(shop: Tracing) -> None:
    """One flow: events with masked payloads, deliveries with attempts, steps, a sentence."""
    async with shop.http.get(f"/api/flows/{happy(1).flow}") as answer:
        found = await answer.json()
    assert found["state"] == "done"
    assert found["sentence"] == "order/1 is confirmed: every subscription has handled it"
    placed_event = found["events"][0]
    assert placed_event["data"]["email"] == "••••• masked"
    assert placed_event["data"]["sku"] == "tea"
    [charge] = [each for each in found["deliveries"] if each["subscription"] == "payments.charge"]
    assert [each["outcome"] for each in charge["attempts"]] == ["retry", "handled"]
    assert found["steps"][0]["ledger"] == "done"
    async with shop.http.get("/api/flows/nothing") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "nothing is known of flow nothing"})


async def test_where_a_subject_is_now_and_then(shop: Tracing) -> None:
    """The answer in a sentence, at any moment; before its first fact nothing is known."""
    async with shop.http.get("/api/subjects/order/1") as answer:
        assert (await answer.json())["sentence"] == "order/1 is confirmed: every subscription has handled it"
    then = rfc3339(START + timedelta(seconds=1.5))
    async with shop.http.get(f"/api/subjects/order/1?at={then}") as answer:
        found = await answer.json()
    assert found["state"] == "waiting"
    assert found["waits_for"] == ["payments.charge"]
    assert "next attempt at 14:05:02" in found["sentence"]
    async with shop.http.get(f"/api/subjects/order/1?at={rfc3339(START - timedelta(seconds=1))}") as answer:
        assert answer.status == 404


async def test_a_list_at_a_moment(shop: Tracing) -> None:
    """`?at=` shows each flow as it stood then, with an offset in any zone."""
    async with shop.http.get("/api/flows?at=2026-11-24T15:05:01.500000%2B01:00") as answer:
        found = await answer.json()
    assert {each["state"] for each in found["flows"]} == {"waiting", "running"}
    async with shop.http.get("/api/flows?at=2026-11-24T15:05:01.500000+01:00&state=waiting") as answer:
        waiting = await answer.json()
    assert {each["subject"] for each in waiting["flows"]} == {"order/1", "order/4", "order/5"}


@pytest.mark.parametrize(
    "query", ["at=yesterday", "limit=0", "limit=x", "limit=100000", "limit=²", "after=x~y", "at=2026-13-45T00:00:00Z"]
)
async def test_what_cannot_be_meant_is_refused(shop: Tracing, query: str) -> None:
    """A bad part of an address is 400 with a sentence, for programs and for people."""
    async with shop.http.get(f"/api/flows?{query}") as answer:
        assert answer.status == 400
        assert query.partition("=")[0] in (await answer.json())["error"]
    async with shop.http.get(f"/flows?{query}") as answer:
        assert answer.status == 400
        assert "<main" in await answer.text()


async def test_pages_say_it_first(shop: Tracing) -> None:
    """Every page opens with its sentence, under the policy; the overview names what needs a person and whose it is."""
    for path, said in [
        ("/", "1 flow is a zombie, 1 flow has an open letter"),
        ("/flows?state=zombie", "order/3"),
        (f"/flows/{rejected(2).flow}", "undid"),
        (f"/flows/{rejected(2).flow}?view=table&show=failed", "Failed 0"),
        ("/subjects/order/3", "is a zombie"),
        ("/subjects/order/1?at=2026-11-24T14:05:01.5Z", "Nothing later than this moment is shown."),
    ]:
        async with shop.http.get(path) as answer:
            text = await answer.text()
        assert (answer.status, said in text) == (200, True), path
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert " style=" not in text
        assert "ada@example.com" not in text
    async with shop.http.get("/subjects/order/none") as answer:
        assert answer.status == 404
        assert "Nothing is known of" in await answer.text()
    async with shop.http.get("/flows/none") as answer:
        assert answer.status == 404


async def test_foreign_text_stays_text(shop: Tracing) -> None:
    """Subjects, types, errors of hostile facts are shown as text, control and bidi characters as marks."""
    told = Story(6, subject='"><script>alert(1)</script>\u202e')
    told.say("orders", "order.placed", 0, note="<b>\u202e")
    told.end("payments.charge", "order.placed", "dead", 0.1, 0.2, error="<img src=x>\u0007", cause="<i>")
    await shop.tell(told)
    for path in ("/", "/flows", f"/flows/{told.flow}", f"/flows/{told.flow}?view=table"):
        async with shop.http.get(path) as answer:
            text = await answer.text()
        assert answer.status == 200
        assert "<script>alert" not in text
        assert "<img src=x>" not in text
        assert "\u202e" not in text


async def test_nothing_can_be_changed(shop: Tracing) -> None:
    """The tracer only looks: no address takes an act, not even from a program."""
    for path in ("/", "/flows", f"/flows/{happy(1).flow}", "/api/flows"):
        async with shop.http.post(path, headers={"X-Hocket-Act": "1"}) as answer:
            assert answer.status == 405
        async with shop.http.post(path) as answer:
            assert answer.status == 403


async def test_a_restart_goes_on_where_it_stood(address: str) -> None:
    """RULES 7.1: what was folded is there after a restart, and the offset with it."""
    async with tracing(address) as first:
        await first.tell(happy(1))
    async with tracing(address) as again, again.http.get("/api/subjects/order/1") as answer:
        assert (await answer.json())["state"] == "done"


async def test_breakers(shop: Tracing) -> None:
    """Each with its owner, what comes next, and how many flows wait for which subscription."""
    async with shop.http.get("/api/breakers") as answer:
        [found] = (await answer.json())["breakers"]
    assert (found["service"], found["name"], found["state"], found["owner"]) == (
        "payments", "card-api", "open", "team-money",
    )  # fmt: skip
    assert found["guards"] == ["payments.charge"]
    assert found["waiting"] == {"payments.charge": 1}
    async with shop.http.get("/breakers") as answer:
        text = await answer.text()
    assert answer.status == 200
    assert "1 breaker is open" in text
    assert " style=" not in text
