"""The tracer's pages in a real browser, fed by a broker in memory."""

from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selenium import webdriver

from hocket.clock import rfc3339
from tests.browser import NEEDS_CHROMIUM, Person, chromium
from tests.services.tracer.running_tracer import Tracing, heartbeats, tracing
from tests.services.tracer.saga_stories import (
    SHOP,
    authorised,
    cancelled_elsewhere,
    carrier_ill,
    fired,
    undone_by,
    unreached,
    waiting_for_carrier,
)
from tests.services.tracer.sample_facts import MANIFESTS, happy, mail_dead, rejected

pytestmark = NEEDS_CHROMIUM
#: docs/console.md §11: nodes and bytes of one page with its style and script.
MAX_NODES, MAX_BYTES = 1_500, 120_000


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for this file."""
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Tracing]:
    """A tracer that has read one order of each kind, and orders of the last hour."""
    now = datetime.now(UTC)
    async with tracing(f"sqlite:///{tmp_path}/tracer.db") as found:
        early = rfc3339(now - timedelta(hours=3))
        await found.report([{**each, "time": early} for each in MANIFESTS])
        await found.report(heartbeats(**{"card-api": {"state": "open", "since": rfc3339(now)}}))
        await found.tell(
            happy(1, now - timedelta(minutes=9)),
            rejected(2, now - timedelta(minutes=8)),
            rejected(3, now - timedelta(minutes=7), undo="dead"),
            mail_dead(4, now - timedelta(minutes=6)),
        )
        yield found


async def test_every_page_holds(driver: webdriver.Chrome, shop: Tracing) -> None:
    """docs/console.md §11: no page complains, scrolls sideways at 1280, or has more nodes and bytes than its budget."""
    person = Person(driver, shop.url)
    flow = rejected(3).flow
    for path in (
        "/",
        "/flows",
        f"/flows/{flow}",
        f"/flows/{flow}?view=table",
        "/subjects/order/3",
        "/subjects/order/1",
    ):
        await person.open(path)
        assert await person.complaints() == [], path
        assert await person.sideways() <= 0, path
        assert await person.nodes() <= MAX_NODES, path
        assert await person.run("return document.querySelectorAll('h1').length") == 1
        size = await person.run(
            "return [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
            ".reduce((sum, each) => sum + each.decodedBodySize, 0)"
        )
        assert 0 < size <= MAX_BYTES, path


async def test_the_overview_says_what_needs_a_person(driver: webdriver.Chrome, shop: Tracing) -> None:
    """The first line, the strip, the causes with their owners, the open breaker."""
    person = Person(driver, shop.url)
    await person.open("/")
    text = await person.see("1 flow is a zombie, 1 flow has an open letter")
    for said in ("team-money", "notifications.confirmation gave up: MailDown", "card-api", "compensated", "Behind"):
        assert said in text


async def test_a_retired_service_stands_apart(driver: webdriver.Chrome, shop: Tracing) -> None:
    """RULES 7.6: a silent service leads to the desk; a retired one is listed as gone since, the headline calm."""
    then = rfc3339(datetime.now(UTC) - timedelta(hours=2))
    beat = {"kind": "heartbeat", "service": "legacy", "instance": "legacy-1", "boot": "b", "time": then}
    await shop.report([beat])
    person = Person(driver, shop.url)
    await person.open("/")
    await person.see("legacy has not been heard since")
    link = await person.run("return document.querySelector('#services .under a').href")
    assert link == "http://127.0.0.1:8081/services/legacy/retire"
    fact = {"kind": "retired", "service": "deadletters", "retires": "legacy", "last": then, "by": "10.0.0.7"}
    await shop.report([{**fact, "time": rfc3339(datetime.now(UTC)), "reason": "replaced by <b>billing</b>"}])
    text = await person.see("gone since")
    assert "legacy has not been heard since" not in text
    assert "replaced by <b>billing</b>" in text
    assert [each for each in await person.complaints() if shop.url in each] == []
    assert await person.sideways() <= 0
    async with shop.http.get("/api/tracer") as answer:
        own = await answer.json()
    assert (own["silent"], [each["service"] for each in own["retired"]]) == ([], ["legacy"])
    await shop.report([{**beat, "time": rfc3339(datetime.now(UTC))}])
    await person.see(lambda text: "gone since" not in text)


async def test_where_is_an_order_right_now(driver: webdriver.Chrome, shop: Tracing) -> None:
    """The subject page answers in its first line, and follows the order without being loaded again."""
    story = happy(4711, datetime.now(UTC) - timedelta(seconds=2))
    await shop.tell(story.until(1.5))
    person = Person(driver, shop.url)
    await person.open("/subjects/order/4711")
    first = await person.run("return document.querySelector('h1').textContent")
    assert first.startswith("order/4711 is waiting for payments.charge since ")
    assert "attempt 1 failed: TimeoutError" in first
    await person.run("window.stays = true")
    await shop.tell(story)
    await person.until("return document.querySelector('h1').textContent.startsWith('order/4711 is confirmed: every')")
    assert await person.run("return window.stays")


async def test_lanes_are_walked_by_keys_and_pointer(driver: webdriver.Chrome, shop: Tracing) -> None:
    """A run is a named link that opens its attempts and payload; 1 and 2 change the view; the drawing has its parts."""
    person = Person(driver, shop.url)
    await person.open(f"/flows/{rejected(2).flow}")
    names = await person.run(
        "return [...document.querySelectorAll('svg.lanes a')].map(a => a.getAttribute('aria-label'))"
    )
    assert "payments.charge on order.placed, step, 350 ms, handled" in names
    assert await person.run("return document.querySelectorAll('svg.lanes .bar.undo').length") == 1
    assert (
        await person.run("return getComputedStyle(document.querySelector('.bar.undo')).stroke") == "rgb(102, 55, 184)"
    )
    await person.click("svg.lanes a[aria-label^='payments.charge'] .label")
    text = await person.see("Attempts")
    assert "••••• masked" in text
    assert "ada@example.com" not in text
    await person.press_key("2")
    await person.until("return location.search.includes('view=table')")
    await person.see("Since start")
    await person.press_key("gf")
    await person.until("return location.pathname === '/flows'")


async def test_a_past_moment(driver: webdriver.Chrome, shop: Tracing) -> None:
    """`?at=` shows what stood then, says so, does not poll, and leads back to now."""
    story = rejected(2, datetime.now(UTC) - timedelta(minutes=8))
    async with shop.http.get("/api/subjects/order/2") as answer:
        began = datetime.fromisoformat((await answer.json())["flows"][0]["began"])
    then = rfc3339(began + timedelta(seconds=5))
    person = Person(driver, shop.url)
    await person.open(f"/flows/{story.flow}?at={then}")
    text = await person.see("Nothing later than this moment is shown.")
    assert "It is running: payments.refund since" in text
    assert "payment.refunded" not in text
    assert await person.run("return document.body.dataset.poll") is None
    await person.press_key("n")
    await person.until("return !location.search.includes('at=')")
    await person.see("undid payments.charge")


async def test_search_finds_an_order(driver: webdriver.Chrome, shop: Tracing) -> None:
    """`/` and a subject lead to its flow."""
    person = Person(driver, shop.url)
    await person.open("/")
    await person.press_key("/")
    await person.press_key("order/3\n")
    text = await person.see("matching order/3")
    assert "zombie" in text
    assert await person.run("return document.querySelectorAll('tbody tr').length") == 1


async def test_pages_of_sagas(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """docs/console.md §6, §11: breakers, time-outs and the ways between flows, each page within its budget."""
    now = datetime.now(UTC)
    early = rfc3339(now - timedelta(hours=3))
    async with tracing(f"sqlite:///{tmp_path}/tracer.db", [{**each, "time": early} for each in SHOP]) as found:
        start = now - timedelta(seconds=25)
        await found.report(carrier_ill(start, now + timedelta(minutes=5)))
        waits, late = waiting_for_carrier(1, start), fired(2, now - timedelta(minutes=5), late=True)
        order = authorised(3, now - timedelta(minutes=2))
        cancellation = cancelled_elsewhere(4, order)
        lost, zombie = unreached(5, now - timedelta(minutes=1)), fired(6, now - timedelta(minutes=6), undo="dead")
        await found.tell(waits, late, undone_by(order, cancellation), cancellation, lost, zombie)
        person = Person(driver, found.url)
        said = {
            "/": ("1 flow is a zombie", "goes on by itself: next probe at", "replay the letter of payments.void"),
            "/breakers": ("1 breaker is open", "1 of 1 probes failed, the last by TimeoutError", "shipping.ship"),
            f"/flows/{waits.flow}": ("is waiting for shipping.ship", "time-out, due", "What it waits for, and why"),
            f"/flows/{waits.flow}?view=table": ("5 failures in a row", "arms a time-out"),
            f"/flows/{late.flow}": ("fired, answered late", "15.1 s late"),
            f"/flows/{order.flow}": ("From flow to flow", "of another flow reached payments.authorise"),
            f"/flows/{lost.flow}": ("reached: none", "found no run of payments.authorise"),
            f"/flows/{zombie.flow}": ("belongs to team-money, who mends it",),
        }
        for path, texts in said.items():
            await person.open(path)
            text = await person.see(texts[0])
            assert [each for each in texts if each not in text] == [], path
            assert [each for each in await person.complaints() if found.url in each] == [], path
            assert await person.sideways() <= 0, path
            assert await person.nodes() <= MAX_NODES, path
        await person.open(f"/flows/{cancellation.flow}")
        await person.click("svg.lanes a .link")
        await person.until(f"return location.pathname === '/flows/{order.flow}'")
