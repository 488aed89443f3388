"""The desk's pages in a real browser: what a person sees and does, and what a foreign page cannot."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.browser import NEEDS_CHROMIUM, Person, chromium
from tests.services.deadletters.running_desk import RunningDesk, dead, event, manifest, receipt, running_desk

pytestmark = NEEDS_CHROMIUM
#: docs/console.md §11: nodes of one page.
MAX_NODES = 1_500


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One headless chromium for this file."""
    with chromium(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[RunningDesk]:
    """A desk with three letters of one cause and one of another."""
    async with running_desk(f"sqlite:///{tmp_path}/desk.db") as made:
        await made.told(manifest())
        await made.dead(dead(1), dead(2), dead(3), dead(9, 1, death_cause="conflict", death_error="same key"))
        yield made


class Reader(Person):
    """A person at the browser who reads the desk."""

    def __init__(self, browser: webdriver.Chrome, desk: RunningDesk) -> None:
        super().__init__(browser, desk.url)
        self.browser = browser
        self.desk = desk

    async def press(self, label: str) -> None:
        """Press the link or button whose text begins so."""

        def click() -> None:
            for each in self.browser.find_elements(By.CSS_SELECTOR, "main a, main button, main summary"):
                if each.text.startswith(label):
                    each.click()
                    return
            raise AssertionError(f"nothing to press is called {label}")

        await asyncio.to_thread(click)

    async def run(self, script: str) -> Any:
        """What a script answers."""
        return await asyncio.to_thread(self.browser.execute_script, script)

    async def keys(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            await asyncio.to_thread(self.browser.find_element(By.TAG_NAME, "body").send_keys, key)

    async def complaints(self) -> list[str]:
        """What the browser's console has said since it was asked last; policy violations stand there."""
        entries = await asyncio.to_thread(self.browser.get_log, "browser")
        return [str(entry["message"]) for entry in entries if "favicon" not in str(entry["message"])]


@pytest.fixture
async def reader(browser: webdriver.Chrome, desk: RunningDesk) -> AsyncIterator[Reader]:
    """A person before the desk; the page is left afterwards, so that it asks nobody any more."""
    made = Reader(browser, desk)
    await made.complaints()
    yield made
    await asyncio.to_thread(browser.get, "about:blank")


async def test_the_first_line_says_what_waits(reader: Reader) -> None:
    """docs/console.md §1: a sentence of facts, then the groups by cause with owner; a group leads to its letters."""
    await reader.open("/")
    text = await reader.see("4 letters wait for a person in 2 groups")
    assert "3 of 4 are one cause: KeyError in crm.record_order." in text
    assert "handlers.py:57 record_order" in text
    assert "team-growth" in text
    await reader.press("KeyError")
    assert "3 letters" in await reader.see("order/1")
    await reader.press("order/1")
    await reader.see("order.placed of order/1 was given up after 5 attempts")


async def test_a_letter_tells_its_cause_with_the_own_frame_marked(reader: Reader) -> None:
    """docs/console.md §7: own frames stand whole, foreign ones are folded, the innermost own one is marked."""
    await reader.open("/letters/letter-1")
    text = await reader.see("Cause")
    assert "2 foreign frames" in text
    assert "2 other letters have this cause" in text
    marked = await reader.run("return [...document.querySelectorAll('.code.own')].map(e => e.innerText)")
    assert marked == ['territory = TERRITORIES[order.address["region"]]']
    assert "ada1@example.com" not in await reader.run("return document.documentElement.outerHTML")
    assert "masked" in text


async def test_a_payload_is_read_in_four_ways(reader: Reader) -> None:
    """Tree, raw, hex and headers, each an address; what is masked is masked in each."""
    await reader.open("/letters/letter-1")
    for view, part in (("Raw", '"total_cents": 12990'), ("Hex", "not shown"), ("Headers", "hocket-death-cause")):
        await reader.press(view)
        await reader.see(part)
        assert f"view={view.lower()}" in await reader.run("return location.href")
        assert "ada1@example.com" not in await reader.run("return document.documentElement.outerHTML")


async def test_a_replay_says_first_what_it_would_do(reader: Reader) -> None:
    """docs/console.md §1.7: the dry run first; the button says the number; afterwards the letter says what was done."""
    await reader.open("/letters/letter-1")
    await reader.press("Replay to crm.record_order")
    text = await reader.see("to crm.record_order as attempt 6: order.placed of order/1")
    assert "If it is handled, it may say order.recorded." in text
    assert reader.desk.sent == []
    await reader.press("Replay 1 letter")
    text = await reader.see("no receipt has come yet")
    assert "replay as attempt 6, sent" in text
    assert [sent[0] for sent in reader.desk.sent] == ["crm.record_order"]
    await reader.desk.told(receipt(1, 6, replay=reader.desk.sent[0][3]))
    await reader.see("Handled by a replay, attempt 6")


async def test_a_send_that_fails_is_said_and_can_be_repeated(reader: Reader) -> None:
    """The letter shows the broker's sentence, and the same replay can be sent again."""
    reader.desk.refuses = "no broker at 127.0.0.1:5672"
    await reader.open("/letters/letter-1/replay")
    await reader.press("Replay 1 letter")
    await reader.see("The broker did not accept it: no broker at 127.0.0.1:5672")
    reader.desk.refuses = ""
    await reader.press("Replay to")
    await reader.see("again under the same replay id")
    await reader.press("Replay 1 letter")
    await reader.see("no receipt has come yet")
    assert len(reader.desk.sent) == 1


async def test_a_conflict_cannot_be_replayed_and_can_be_discarded(reader: Reader) -> None:
    """What cannot be done has no button but its sentence; a discard is a second step and keeps its reason."""
    await reader.open("/letters/letter-9")
    await reader.see("It is a conflict")
    await reader.press("Discard")
    await reader.see("Nothing is sent.")
    field = await asyncio.to_thread(reader.browser.find_element, By.ID, "reason")
    await asyncio.to_thread(field.send_keys, "said twice by a test")
    await reader.press("Discard 1 letter")
    text = await reader.see("Discarded by 127.0.0.1")
    assert "said twice by a test" in text


async def test_the_list_lives(reader: Reader) -> None:
    """A letter that dies while somebody looks comes by itself."""
    await reader.open("/")
    await reader.see("4 letters wait")
    await reader.desk.dead(dead(12, death_cause="OverflowError"))
    await reader.see("5 letters wait for a person in 3 groups")


async def test_foreign_text_is_never_markup(reader: Reader) -> None:
    """docs/console.md §11: whatever a letter holds is text; control and bidi characters are shown by name."""
    evil = "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">\u202egone"
    await reader.desk.dead(dead(7, death_error=evil, death_cause="<b>Bold</b>", body=event(7, order_id=evil)))
    for path in ("/", "/letters", "/letters/letter-7", "/letters/letter-7?view=raw", "/letters/letter-7/replay"):
        await reader.open(path)
        text = await reader.see("<b>Bold</b>")
        assert "owned" not in await reader.run("return document.title")
        assert "U+202E" in text
        assert "\u202e" not in text
    assert await reader.complaints() == []


async def test_pages_need_nothing_from_elsewhere(reader: Reader) -> None:
    """docs/console.md §11: no request to another host, no policy violation, few nodes, no sideways scrolling."""
    for path in ("/", "/?show=all", "/letters", "/letters/letter-1", "/letters/letter-1/replay", "/letters/none"):
        await reader.open(path)
        await reader.see("Dead letters")
        asked = await reader.run("return performance.getEntriesByType('resource').map(each => each.name)")
        assert [each for each in asked if not each.startswith(reader.desk.url)] == []
        assert await reader.run("return document.querySelectorAll('*').length") <= MAX_NODES
        assert await reader.run("return document.documentElement.scrollWidth <= innerWidth")
        assert await reader.run("return document.querySelectorAll('h1').length") == 1
    assert [each for each in await reader.complaints() if "404" not in each] == []


async def test_keys_lead_to_the_dialog_not_to_the_act(reader: Reader) -> None:
    """docs/console.md §9: `g l` goes to the letters, `r` opens what a replay would do; no key acts by itself."""
    await reader.open("/")
    await reader.keys("g", "l")
    await reader.see("4 letters")
    await reader.open("/letters/letter-1")
    await reader.keys("r")
    await reader.see("Dry run")
    await reader.keys(Keys.ESCAPE)
    assert reader.desk.sent == []


@asynccontextmanager
async def foreign_page(target: str) -> AsyncIterator[int]:
    """A page on another port whose form posts to the desk as soon as it is read; its port."""

    async def page(request: web.Request) -> web.Response:
        form = f'<form method="post" action="{target}"><input name="reason" value="evil"></form>'
        return web.Response(text=f"{form}<script>document.forms[0].submit()</script>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("path", ["/letters/letter-1/replay", "/api/dead/letter-1/replay"])
async def test_a_foreign_page_cannot_replay(reader: Reader, host: str, path: str) -> None:
    """A form on another site, or on another port of the same, is refused by what the browser itself says of it."""
    async with foreign_page(reader.desk.url + path) as port:
        await asyncio.to_thread(reader.browser.get, f"http://{host}:{port}/")
        await reader.see("this request was sent by a page of another site")
    assert reader.desk.sent == []
    assert (await reader.desk.letter("letter-1"))["acts"] == []
