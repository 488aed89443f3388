"""The tracer's truth over HTTP: addresses that lead somewhere, lists of a past moment, reasons, bounds, forgetting."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote, urljoin

import pytest
from sqlalchemy import func, select

from hocket.clock import rfc3339
from hocket.console.named_values import set_value
from hocket.testing import fake_tx
from services.tracer.ask import flows as asking
from services.tracer.ask.around import around_of
from services.tracer.ask.flows import count_states, folded
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.own import Bounds, own_state
from services.tracer.ask.services import heartbeats_of, services_of
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.handlers import read_log, read_receipts
from services.tracer.keep import facts as keeping
from services.tracer.keep import forgetting
from services.tracer.keep.forgetting import FORGOTTEN, Keep, forget
from services.tracer.keep.tables import events, flows, hours, marks, receipts, tables
from services.tracer.service import Settings
from services.tracer.show.sentences import because, plain, unheard, where_is
from tests.services.tracer.running_tracer import Tracing, heartbeats, tracing
from tests.services.tracer.sample_facts import MANIFESTS, START, Story, happy, mail_dead, placed, rejected
from tests.services.tracer.test_handlers import events as log_of
from tests.services.tracer.test_handlers import facts

BOUNDS = Bounds(168, 20e9)


@pytest.fixture
async def shop(address: str) -> AsyncIterator[Tracing]:
    """A tracer that has read one order of each kind."""
    async with tracing(address) as found:
        await found.report(heartbeats())
        await found.tell(happy(1), rejected(2), mail_dead(4), happy(5).until(1.5))
        yield found


async def test_a_state_of_a_past_moment_is_looked_for_until_the_page_is_full(
    shop: Tracing, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`?state=…&at=…` finds flows however many newer ones were in another state; a bound leads to the next page."""
    later = [happy(number, START + timedelta(seconds=number)) for number in range(10, 16)]
    await shop.tell(*later)
    at = rfc3339(START + timedelta(seconds=600))
    async with shop.http.get(f"/api/flows?state=open-letter&at={at}&limit=2") as answer:
        found = await answer.json()
    assert [each["subject"] for each in found["flows"]] == ["order/4"]
    monkeypatch.setattr(asking, "MAX_LOOKED", 4)
    path, subjects = f"/api/flows?state=open-letter&at={at}&limit=2", []
    while path:
        async with shop.http.get(path) as answer:
            found = await answer.json()
        subjects += [each["subject"] for each in found["flows"]]
        path = found["next"]
    assert subjects == ["order/4"]


async def test_links_keep_what_was_asked(shop: Tracing) -> None:
    """ "Newer" leads to the first page of the same filter; an unknown state is refused for people and programs."""
    async with shop.http.get("/api/flows?type=order.placed&limit=2") as answer:
        following = (await answer.json())["next"].removeprefix("/api")
    async with shop.http.get(following) as answer:
        text = await answer.text()
    assert 'href="/flows?type=order.placed&amp;limit=2">Newer' in text
    for path in ("/flows?state=sideways", "/api/flows?state=sideways", "/flows?after=nan~x"):
        async with shop.http.get(path) as answer:
            assert answer.status == 400


@pytest.mark.parametrize("subject", ["order/../1", "a//b", ".", "order/\\..\\x", "x?y#z", "ä/€", "%2e%2e/x"])
async def test_every_subject_has_a_link_that_works(shop: Tracing, subject: str) -> None:
    """As a browser resolves it: what the list links to answers for that subject."""
    await shop.tell(Story(77, subject=subject).say("orders", "order.placed", 0))
    async with shop.http.get("/flows") as answer:
        text = await answer.text()
    hrefs = [part.partition('"')[0].replace("&amp;", "&") for part in text.split('href="')[1:]]
    found = [each for each in hrefs if each.startswith("/subjects")]
    resolved = [urljoin("http://t/flows", each).removeprefix("http://t") for each in found]
    mine = [each for each in resolved if unquote(each).endswith(subject) or unquote(each).endswith("name=" + subject)]
    assert mine, resolved
    async with shop.http.get(f"{shop.url}{mine[0]}") as answer:
        assert answer.status == 200, mine[0]


async def test_the_breaker_is_named_where_its_flows_wait(shop: Tracing) -> None:
    """An order that waits behind an open breaker says so, by heartbeats; chip and sentence say the same state."""
    now = datetime.now(UTC)
    opened = {"state": "open", "since": rfc3339(now), "until": rfc3339(now + timedelta(minutes=1))}
    await shop.report(heartbeats(**{"card-api": opened}))
    await shop.tell(placed(9, now))
    async with shop.http.get("/api/subjects/order/9") as answer:
        found = await answer.json()
    assert found["state"] == "running"
    assert found["sentence"].startswith("order/9 is running: payments.charge since")
    assert "breaker card-api is open since" in found["sentence"]
    assert "next probe at" in found["sentence"]


async def test_a_breaker_that_a_person_holds_is_told_as_such(shop: Tracing) -> None:
    """It announces no probe, and the overview does not say that no breaker is open."""
    now = datetime.now(UTC)
    held = {"state": "held", "since": rfc3339(now), "until": rfc3339(now + timedelta(hours=2))}
    await shop.report(heartbeats(**{"card-api": held}))
    await shop.tell(placed(9, now))
    async with shop.http.get("/api/subjects/order/9") as answer:
        found = await answer.json()
    assert "breaker card-api is held open by a person since" in found["sentence"]
    assert "probe" not in found["sentence"]
    async with shop.http.get("/") as answer:
        assert "No breaker is open" not in await answer.text()


async def test_a_dead_flow_is_not_hidden_by_a_large_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound of facts is one a flow: a flow beyond it takes nothing from others, and says how many it lacks."""
    monkeypatch.setattr(keeping, "MAX_FACTS", 20)
    tx = fake_tx(uses=Settings(), tables=tables)
    await read_receipts([facts(*MANIFESTS)], tx)
    large, lost = placed(1), mail_dead(2, START + timedelta(seconds=60))
    for number in range(200):
        large.end("payments.charge", "order.placed", "deferred", number, number + 0.1, cause="breaker")
    for story in (large, lost):
        await read_log(log_of(story), tx)
        await read_receipts([facts(*story.receipts)], tx)
    db = await tx.db()
    big, dead = await folded(db, [large.flow, lost.flow], await knowledge(db))
    assert (dead.state, dead.left_out) == (FlowState.OPEN_LETTER, 0)
    assert big.left_out == 180
    assert "180 of its facts are not read" in plain(where_is("order/1", big, tx.time))


async def test_what_decides_is_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a flow beyond the bound the receipts that decide are read, not the many that only wait."""
    monkeypatch.setattr(keeping, "MAX_FACTS", 20)
    tx = fake_tx(uses=Settings(), tables=tables)
    told = placed(1)
    told.end("payments.charge", "order.placed", "dead", 0.1, 0.2, 5, error="gone")
    for number in range(200):
        told.end("orders.confirm", "order.placed", "deferred", number, number + 0.1)
    await read_log(log_of(told), tx)
    await read_receipts([facts(*told.receipts)], tx)
    db = await tx.db()
    [flow] = await folded(db, [told.flow], await knowledge(db))
    assert [each.subscription for each in flow.dead] == ["payments.charge"]


async def test_counts_are_kept_and_old_flows_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts are what counting gives; ended flows are forgotten after their time, others later, in steps."""
    monkeypatch.setattr(forgetting, "STEP", 2)
    tx = fake_tx(uses=Settings(), tables=tables)
    now = tx.time
    await read_receipts([facts(*MANIFESTS)], tx)
    start = now - timedelta(minutes=10)
    told = [happy(1, start), happy(2, start), rejected(3, start), mail_dead(4, start), rejected(5, start, undo="dead")]
    for story in [*told, happy(6, start).until(1.5)]:
        await read_log(log_of(story), tx)
        await read_receipts([facts(*story.receipts)], tx)
    db = await tx.db()

    async def counts() -> tuple[dict[str, int], int]:
        found, dead = await count_states(db, now)
        return {each.state: each.many for each in found if each.many}, dead

    assert await counts() == ({"zombie": 1, "waiting": 1, "done": 2, "compensated": 1, "open-letter": 1}, 1)
    keep, gone = Keep(timedelta(days=30), timedelta(days=365)), []
    for days in (0, 31, 32, 33, 400, 401, 402):
        await set_value(db, marks, FORGOTTEN, "0")
        gone.append(await forget(db, keep, now + timedelta(days=days)))
        if days == 33:
            assert (await counts())[0] == {"zombie": 1, "waiting": 1, "open-letter": 1}
    assert gone == [0, 2, 1, 0, 2, 1, 0]
    for table in (flows, events, receipts):
        assert await db.scalar(select(func.count()).select_from(table)) == 0
    assert await counts() == ({}, 0)


async def test_hours_held_and_behind() -> None:
    """RULES 7.2: how many hours a stream holds at the rate of the last day, how many the reader is behind; an alarm."""
    tx = fake_tx(uses=Settings(), tables=tables)
    now = tx.time
    late = {"kind": "heartbeat", "service": "a", "time": rfc3339(now - timedelta(hours=5))}
    await read_receipts([facts(late)], tx)
    db = await tx.db()
    hour = int(now.timestamp() // 3600)
    await db.execute(hours.delete())
    row = {"stream": "receipts", "messages": 1, "facts": 10, "bytes": 2_500_000_000}
    await db.execute(hours.insert(), [{**row, "hour": hour - number} for number in range(4)])
    [seen] = (await own_state(db, now, BOUNDS)).streams
    assert (seen.holds, seen.facts) == (8.0, 40)
    assert seen.behind == pytest.approx(5 * 3600, abs=1)
    assert seen.alarm
    [roomy] = (await own_state(db, now, Bounds(168, 200e9))).streams
    assert (roomy.holds, roomy.alarm) == (80.0, False)


async def test_the_lag_is_by_the_clock() -> None:
    """RULES 7.2: by the clock: nothing read for three heartbeats is deafness, a service not heard is silent."""
    tx = fake_tx(uses=Settings(), tables=tables)
    now = tx.time
    beats = [
        {"kind": "heartbeat", "service": name, "instance": "1", "time": rfc3339(now - timedelta(seconds=ago))}
        for name, ago in (("orders", 1), ("payments", 45))
    ]
    await read_receipts([facts(*beats)], tx)
    db = await tx.db()
    known = await knowledge(db)

    async def said(seconds: float) -> str:
        then = now + timedelta(seconds=seconds)
        return unheard(await own_state(db, then, BOUNDS), services_of(await heartbeats_of(db), known, then), then)

    assert (await said(0)).startswith("payments has not been heard since")
    assert (await said(60)).startswith("The tracer has heard nothing since")
    assert (await own_state(db, now + timedelta(seconds=60), BOUNDS)).behind == pytest.approx(61, abs=0.1)


async def test_a_silent_service_is_a_reason_to_wait(shop: Tracing) -> None:
    """A delivery of a service that is not heard says so in place of a due time that has passed."""
    told = happy(5).until(1.5)
    flow = (await _flows(told))[0]
    then = datetime.now(UTC) + timedelta(minutes=2)
    async with shop.http.get("/api/tracer") as answer:
        own = await answer.json()
    assert set(own["streams"]) == {"log", "receipts"}
    tx = fake_tx(uses=Settings(), tables=tables)
    await read_receipts([facts(*MANIFESTS, *heartbeats())], tx)
    db = await tx.db()
    around = around_of(await heartbeats_of(db), await knowledge(db), then)
    assert because(flow.waiting[0], then, around).startswith("payments has not been heard since")


async def _flows(told: Story) -> list[Flow]:
    tx = fake_tx(uses=Settings(), tables=tables)
    await read_receipts([facts(*MANIFESTS)], tx)
    await read_log(log_of(told), tx)
    await read_receipts([facts(*told.receipts)], tx)
    db = await tx.db()
    return await folded(db, [told.flow], await knowledge(db))


async def test_what_waits_to_be_folded_is_folded_when_one_asks(shop: Tracing) -> None:
    """A batch so full that its flows wait to be folded hides nothing from the overview: who asks has them folded."""
    many = [mail_dead(number, START + timedelta(seconds=number)) for number in range(100, 140)]
    told = [fact for story in many for fact in story.receipts]
    for story in many:
        await shop.tell(Story(story.number, envelopes=story.envelopes))
    await shop.report(told)
    async with shop.http.get(f"/api/flows/{many[-1].flow}") as answer:
        assert answer.status == 200
    async with asyncio.timeout(5):
        found: list[object] = []
        while len(found) != 41:
            async with shop.http.get("/api/flows?state=open-letter&limit=200") as answer:
                found = json.loads(await answer.text())["flows"]
