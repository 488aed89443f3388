"""The consoles' script in a real browser: reading again in place, rows that wait, keys, no markup out of text."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By

from hocket.console import Page, mount
from tests.browser import NEEDS_CHROMIUM, Person, chromium

pytestmark = NEEDS_CHROMIUM
PAGE = """{% extends "console/base.html" %}{% block main %}<h1>{{ title|shown }}</h1><p>{{ now|clock }}</p>
{{ "0199c2f5-03be-7000-8000-000000000001"|id }}
{% call ui.card("Rows", flush=true) %}<table><tbody data-rows>{% for row in rows %}
<tr data-key="{{ row }}"><td><a href="/row/{{ row }}">{{ row }}</a></td><td>{{ title|shown }}</td></tr>
{% endfor %}</tbody></table>{% endcall %}{% endblock %}"""


@dataclass
class Shown:
    """What the page shows, changed by a test."""

    title: str = "first"
    rows: list[str] = field(default_factory=lambda: ["a", "b"])
    fails: bool = False
    url: str = ""


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    """One browser for this file."""
    with chromium(tmp_path_factory.mktemp("chromium")) as found:
        yield found


@pytest.fixture
async def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Shown]:
    """A page that is read again every 100 ms."""
    monkeypatch.setattr("hocket.console.pages.POLL_MS", 100)
    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    app, it = web.Application(), Shown()
    console = mount(app, name="tracer", templates=tmp_path, pages=[Page("two", "/two", "Two", "w")], search="/find")

    async def page(request: web.Request) -> web.Response:
        if it.fails:
            raise web.HTTPServiceUnavailable(text="away")
        return console.render("page.html", title=it.title, rows=it.rows, live=request.path != "/then")

    app.router.add_get("/{path:.*}", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    it.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield it
    await runner.cleanup()


async def test_a_page_is_read_again_in_place(driver: webdriver.Chrome, shown: Shown) -> None:
    """New data changes the nodes that are there; text stays text, whatever it holds; nothing is complained of."""
    person = Person(driver, shown.url)
    await person.open("/")
    await person.run("document.querySelector('h1').dataset.mine = ''; window.kept = document.querySelector('h1')")
    shown.title, shown.rows = "<img src=x onerror=alert(1)>", ["c", "a", "b"]
    await person.see("<img src=x onerror=alert(1)>")
    assert await person.run("return window.kept === document.querySelector('h1')")
    assert await person.run("return [...document.querySelectorAll('tr')].map(row => row.dataset.key)") == [
        "c",
        "a",
        "b",
    ]
    assert await person.run("return document.querySelectorAll('img').length") == 0
    assert await person.complaints() == []


async def test_new_rows_wait_for_who_reads(driver: webdriver.Chrome, shown: Shown) -> None:
    """Nothing moves under the pointer: while it is over the rows, new ones wait behind a button, old ones change."""
    person = Person(driver, shown.url)
    await person.open("/")
    row = driver.find_element(By.CSS_SELECTOR, "tr[data-key=a]")
    ActionChains(driver).move_to_element(row).perform()
    shown.title, shown.rows = "second", ["z", "y", "a", "b"]
    await person.see("2 new")
    assert await person.run("return document.querySelectorAll('tr').length") == 2
    assert await person.run("return document.querySelector('tr td:last-child').textContent") == "second"
    await person.click(".newer")
    assert await person.run("return document.querySelectorAll('tr').length") == 4
    ActionChains(driver).move_by_offset(0, 0).move_to_element(driver.find_element(By.TAG_NAME, "h1")).perform()


async def test_a_failure_keeps_the_last_data(driver: webdriver.Chrome, shown: Shown) -> None:
    """An error says of when the data is and that it tries again, and goes away by itself."""
    person = Person(driver, shown.url)
    await person.open("/")
    shown.fails = True
    text = await person.see("trying again in 4 s")
    assert "first" in text
    shown.fails, shown.title = False, "third"
    await person.see("third")
    assert await person.run("return document.getElementById('trouble').hidden")


async def test_a_past_moment_stands_still(driver: webdriver.Chrome, shown: Shown) -> None:
    """A page without live data is not read again."""
    person = Person(driver, shown.url)
    await person.open("/")
    await person.until("return Number(document.body.dataset.readings) >= 2")
    await person.open("/then")
    assert await person.run("return document.body.dataset.poll") is None


async def test_keys(driver: webdriver.Chrome, shown: Shown) -> None:
    """`/` searches, `j` walks rows, `g` goes, `?` lists all; keys are off in fields and can be switched off."""
    person = Person(driver, shown.url)
    await person.open("/")
    await person.press_key("/")
    assert await person.run("return document.activeElement.name") == "q"
    await person.run("document.activeElement.blur()")
    await person.press_key("j")
    await person.press_key("j")
    assert await person.run("return document.activeElement.textContent") == "b"
    await person.press_key("?")
    assert await person.run("return document.getElementById('keys').open")
    await person.run("document.getElementById('keys-on').click(); document.getElementById('keys').close()")
    await person.run("document.activeElement.blur()")
    await person.press_key("gw")
    assert await person.run("return location.pathname") == "/"
    await person.run("document.getElementById('keys-on').click()")
    await person.press_key("gw")
    assert await person.until("return location.pathname === '/two'")
