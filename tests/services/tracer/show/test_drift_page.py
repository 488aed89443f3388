"""The page of drift in a real browser, and its JSON, fed by a broker in memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from selenium import webdriver

from hocket.clock import rfc3339
from hocket.console import weekday_and_clock
from tests.browser import NEEDS_CHROMIUM, Person, chromium
from tests.services.tracer.drift_facts import drifted, seen
from tests.services.tracer.running_tracer import Tracing, tracing
from tests.services.tracer.sample_facts import MANIFESTS, Story

pytestmark = NEEDS_CHROMIUM
#: docs/console.md §11: nodes and bytes of one page with its style and script.
MAX_NODES, MAX_BYTES = 1_500, 120_000
NOW = datetime.now(UTC)
START, NEW = NOW - timedelta(days=4), NOW - timedelta(hours=2)


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for this file."""
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
async def tracer(tmp_path: Path) -> AsyncIterator[Tracing]:
    """A tracer that has read how three subscriptions of the shop compare, and the first drifted event."""
    async with tracing(f"sqlite:///{tmp_path}/tracer.db", MANIFESTS) as found:
        story = Story(7, start=NEW).say("shopify", "order.placed", 0)
        await found.tell(story)
        times = {"start": START, "last": rfc3339(NOW), "time": rfc3339(NOW)}
        first = story.id("order.placed")
        await found.report(
            [
                drifted(
                    "payments.charge", seen("customer.tags", "unknown", NEW, many=340, event=first),
                    seen("amount", "type", NEW - timedelta(hours=1), many=3, event="e3", deep=True),
                    seen("note", "null", START, many=12, deep=True), mode="quarantine", **times,
                ),
                drifted("orders.confirm", seen("customer.tags", "unknown", NEW, many=339, event=first), **times),
                drifted(
                    "notifications.apology", seen('"<b>"', "unknown", START), source="/stripe", type="order.cancelled",
                    **{**times, "start": NEW, "events": 40},
                ),
            ]
        )  # fmt: skip
        await until_read(found)
        yield found


async def until_read(found: Tracing) -> None:
    """Wait until the tracer has all of it."""
    async with asyncio.timeout(10):
        while True:
            async with found.http.get("/api/drift") as answer:
                if len((await answer.json())["compared"]) == 3:
                    return
            await asyncio.sleep(0.02)


async def test_the_page_says_who_began_what_and_who_hears_it(driver: webdriver.Chrome, tracer: Tracing) -> None:
    """RULES 16.3: sender, event, field, kind, since when, how often, who hears it; the first event a link."""
    person = Person(driver, tracer.url)
    await person.open("/drift")
    text = await person.see("began to send")
    title = f"shopify began to send `customer.tags` at {weekday_and_clock(NEW, datetime.now(UTC))}, and 1 more change"
    assert await person.run("return document.querySelector('h1').textContent") == title
    for said in (
        "order.placed version 1", "customer.tags", "a field that is not read", "340 of 2,000 events", "payments.charge",
        "orders.confirm", "team-money", "team-shop", "another type", "at least 3 of 2,000 events", "kept out",
        "40 of 1,000 events", '"<b>"',
    ):  # fmt: skip
        assert said in text, said
    link = await person.run("return document.querySelector('#new tbody a').getAttribute('href')")
    assert link == f"/flows/{Story(7).flow}"
    assert await person.run("return document.querySelectorAll('#new tbody tr').length") == 2
    assert await person.run("return document.querySelectorAll('#baseline tbody tr').length") == 2
    assert await person.run("return document.querySelectorAll('#compared tbody tr').length") == 3


@pytest.mark.parametrize("width", [390, 1280])
async def test_the_page_holds(driver: webdriver.Chrome, tracer: Tracing, width: int) -> None:
    """docs/console.md §2, §11: no complaint, nothing sideways on a telephone or a wide screen, within its budget."""
    person = Person(driver, tracer.url)
    await asyncio.to_thread(
        driver.execute_cdp_cmd,
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False},
    )
    try:
        await person.open("/drift")
        await person.see("began to send")
        assert await person.complaints() == []
        assert await person.sideways() <= 0
        assert await person.nodes() <= MAX_NODES
        size = await person.run(
            "return [...performance.getEntriesByType('resource'), ...performance.getEntriesByType('navigation')]"
            ".reduce((sum, each) => sum + each.decodedBodySize, 0)"
        )
        assert 0 < size <= MAX_BYTES
    finally:
        await asyncio.to_thread(driver.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})


async def test_a_page_without_drift_says_what_would_be_there(driver: webdriver.Chrome, tmp_path: Path) -> None:
    """docs/console.md §8: an empty page is no blank page; `g r` leads to it."""
    async with tracing(f"sqlite:///{tmp_path}/empty.db", MANIFESTS) as found:
        person = Person(driver, found.url)
        await person.open("/")
        await person.press_key("gr")
        text = await person.see("No service has compared an event yet")
        assert "What a sender begins to send" in text


async def test_the_overview_says_what_is_new(driver: webdriver.Chrome, tracer: Tracing) -> None:
    """RULES 16.3: one line, which leads to the page."""
    person = Person(driver, tracer.url)
    await person.open("/")
    await person.see("shopify began to send `customer.tags` at ")
    assert await person.run("return document.querySelector('.headline a').getAttribute('href')") == "/drift"
    assert await person.sideways() <= 0


async def test_programs_get_the_same(tracer: Tracing) -> None:
    """docs/console.md §6: everything of the page, never a value."""
    async with tracer.http.get("/api/drift") as answer:
        found = await answer.json()
    new = [each for each in found["drift"] if each["state"] == "new"]
    assert [(each["path"], each["kind"], each["flow"]) for each in new] == [
        ("customer.tags", "unknown", Story(7).flow), ("amount", "type", None),
    ]  # fmt: skip
    assert new[0]["readers"][0] == {
        "subscription": "orders.confirm", "owner": "team-shop", "drift": "warn", "many": 339, "at_least": False,
        "of": 2_000,
        "since": rfc3339(NEW),
    }  # fmt: skip
    assert [each["baseline"] for each in found["compared"]] == ["over", "over", "40 of 1,000 events"]
