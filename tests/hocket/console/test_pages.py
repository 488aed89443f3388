"""What `mount` puts on an application: pages, headers, errors, the guard."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from hocket.console import Console, Page, mount
from hocket.console.pages import POLICY
from hocket.errors import ConfigError, StoreError
from hocket.worker.http.server import HttpServer

PAGE = """{% extends "console/base.html" %}{% block main %}<h1>{{ name|shown }}</h1>
{{ ui.state("flow", "zombie", chip=true) }}{{ ui.state("letter", "pending") }}{{ ui.facts([("Id", name|id)]) }}
{% call ui.card("Card", "aside") %}{{ ui.payload(()) }}{% endcall %}{% call ui.note("wait", "clock") %}x{% endcall %}
{{ ui.pager("/a", "/b") }}{% endblock %}"""


def build(folder: Path) -> web.Application:
    """An application with one page, and routes that fail in every way."""
    (folder / "page.html").write_text(PAGE, encoding="utf-8")
    (folder / "static").mkdir()
    (folder / "static" / "tracer.css").write_text("p { color: red }", encoding="utf-8")
    app = web.Application()
    pages = [Page("one", "/", "One", "o"), Page("two", "/two", "Two", "f")]
    console = mount(
        app, name="tracer", templates=folder, static=folder / "static", pages=pages, search="/find",
        desk_url="http://desk.example",
    )  # fmt: skip

    async def page(request: web.Request) -> web.Response:
        return console.render("page.html", page="one", name="<script>alert(1)</script>")

    async def fails(request: web.Request) -> web.Response:
        raise RuntimeError("secret")

    async def no_store(request: web.Request) -> web.Response:
        raise StoreError("the store does not answer")

    async def teapot(request: web.Request) -> web.Response:
        raise web.HTTPBadRequest(text="this cannot be meant")

    async def act(request: web.Request) -> web.Response:
        return web.Response(text="done")

    async def away(request: web.Request) -> web.Response:
        raise web.HTTPSeeOther("/")

    for path, handler in (("/", page), ("/fails", fails), ("/store", no_store), ("/bad", teapot), ("/away", away)):
        app.router.add_get(path, handler)
    app.router.add_get("/api/bad", teapot)
    app.router.add_get("/api/fails", fails)
    app.router.add_get("/api/store", no_store)
    app.router.add_post("/act", act)
    app.router.add_post("/api/act", act)
    return app


@pytest.mark.parametrize(("host", "open_to_others"), [("127.0.0.1", False), ("localhost", False), ("0.0.0.0", True)])
async def test_pages_say_that_nobody_is_asked_who_they_are(tmp_path: Path, host: str, open_to_others: bool) -> None:
    """Where others than this machine reach the port, every page says what anyone can do, and the way out."""

    def mounted(app: web.Application) -> None:
        console = mount(app, name="tracer", templates=tmp_path, anyone_can="read every flow")

        async def page(request: web.Request) -> web.Response:
            return console.render("page.html", name="x")

        app.router.add_get("/", page)

    (tmp_path / "page.html").write_text(PAGE, encoding="utf-8")
    server = HttpServer("tracer", host, 0, [mounted], list, lambda: True, bytes)
    await server.start()
    try:
        async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{server.port}/") as answer:
            text = await answer.text()
    finally:
        await server.stop()
    line = "Anyone who reaches this port can read every flow: put your proxy in front; docs/security.md"
    assert (line in text) is open_to_others


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """A session whose base is the running application."""
    runner = web.AppRunner(build(tmp_path))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session
    await runner.cleanup()


async def test_a_page(http: aiohttp.ClientSession) -> None:
    """A page has the frame, escapes foreign text, marks its place in the bar and links the other console."""
    async with http.get("/") as answer:
        text = await answer.text()
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert "&lt;script&gt;alert(1)" in text
    assert "<script>" not in text
    assert '<a href="/" aria-current="page"' in text
    assert 'href="http://desk.example"' in text
    assert '<use href="#m-diamond-bang"/>' in text
    assert 'href="/static/tracer/tracer.css"' in text
    assert "tracer.js" not in text
    assert text.count("<h1") == 1


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/fails", "/store", "/api/bad", "/static/console/console.css", "/away"]
)
async def test_every_answer_carries_the_security_headers(http: aiohttp.ClientSession, path: str) -> None:
    """Pages, errors, redirects and files alike: no foreign script, no frame, no sniffing (docs/console.md §11)."""
    async with http.get(path, allow_redirects=False) as answer:
        assert answer.headers["Content-Security-Policy"] == POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        assert answer.headers["Cache-Control"] in {"no-store", "no-cache"}


async def test_no_page_needs_what_the_policy_forbids(http: aiohttp.ClientSession) -> None:
    """No inline script, no style attribute, no event attribute."""
    async with http.get("/") as answer:
        text = await answer.text()
    assert " style=" not in text
    assert " onclick=" not in text
    assert "<style" not in text
    assert "javascript:" not in text


@pytest.mark.parametrize(
    ("path", "status", "sentence"),
    [
        ("/nothing", 404, "There is nothing at /nothing."),
        ("/bad", 400, "this cannot be meant"),
        ("/fails", 500, "This page failed"),
        ("/store", 503, "the store does not answer"),
    ],
)
async def test_an_error_is_a_page(http: aiohttp.ClientSession, path: str, status: int, sentence: str) -> None:
    """An error says what happened in the frame of the console, never the inside of it."""
    async with http.get(path) as answer:
        text = await answer.text()
    assert answer.status == status
    assert sentence in text
    assert "secret" not in text
    assert "<main" in text
    assert ("Retry-After" in answer.headers) == (status == 503)


async def test_a_program_gets_json(http: aiohttp.ClientSession) -> None:
    """Below /api/ an error is a JSON sentence; what the web door answers itself is left to it."""
    async with http.get("/api/bad") as answer:
        assert (answer.status, await answer.json()) == (400, {"error": "this cannot be meant"})
    async with http.get("/api/nothing") as answer:
        assert (answer.status, await answer.json()) == (404, {"error": "There is nothing at /api/nothing."})
    for path in ("/api/fails", "/api/store"):
        async with http.get(path) as answer:
            assert answer.status == 500


async def test_a_foreign_page_cannot_act(http: aiohttp.ClientSession) -> None:
    """A form on another site is refused before anything runs; a program and our own page are not."""
    foreign = {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"}
    async with http.post("/act", headers=foreign) as answer:
        assert answer.status == 403
        assert "foreign page" in await answer.text()
    async with http.post("/api/act", headers=foreign) as answer:
        assert answer.status == 403
        assert "foreign page" in (await answer.json())["error"]
    async with http.post("/act", headers={"X-Hocket-Act": "1"}) as answer:
        assert (answer.status, await answer.text()) == (200, "done")


async def test_static_files_stay_in_their_folder(http: aiohttp.ClientSession) -> None:
    """No path leads out of the folders that are served."""
    for path in ("/static/console/../pages.py", "/static/console/%2e%2e/pages.py", "/static/tracer/../page.html"):
        async with http.get(path) as answer:
            assert answer.status in {403, 404}
    async with http.get("/static/tracer/tracer.css") as answer:
        assert answer.status == 200


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    """The other console's address comes from settings: only a web address becomes a link."""
    with pytest.raises(ConfigError, match="desk_url"):
        mount(web.Application(), name="tracer", templates=tmp_path, desk_url="javascript:alert(1)")


def test_a_console_knows_its_clock(tmp_path: Path) -> None:
    """What renders pages also says what time it is."""
    console = mount(web.Application(), name="desk", templates=tmp_path)
    assert isinstance(console, Console)
    assert console.now().tzinfo is not None
