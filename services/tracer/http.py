"""The tracer's routes: pages for people, `/api/…` for programs. None of them changes anything."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.clock import SystemClock, rfc3339
from hocket.console import Page, mount, mount_finding
from services.tracer.ask.flows import Filter, flow_of, flows_of_subject, line_of, list_flows, telling
from services.tracer.ask.knowledge import knowledge
from services.tracer.service import Settings, tracer
from services.tracer.show.as_json import flow_json, line_json
from services.tracer.show.pages import Pages
from services.tracer.show.parameters import filter_asked, moment_asked, next_page
from services.tracer.show.sentences import plain, where_is
from services.tracer.show.views import masks_of

_HERE = Path(__file__).parent / "show"
_BAR = (Page("overview", "/", "Overview", "o"), Page("flows", "/flows", "Flows", "f"))


@asynccontextmanager
async def reading() -> AsyncIterator[AsyncConnection]:
    """A connection that reads committed facts."""
    async with tracer.tx() as tx:
        yield await tx.read()


@tracer.http
def routes(app: web.Application) -> None:
    """Mount the pages and the routes for programs."""
    clock = SystemClock()
    console = mount(
        app, name="tracer", templates=_HERE / "templates", static=_HERE / "static", pages=_BAR, search="/find",
        desk_url=Settings().desk_url, clock=clock,
    )  # fmt: skip
    pages = Pages(console, reading)
    app.router.add_get("/", pages.overview)
    app.router.add_get("/flows", pages.flows)
    app.router.add_get("/flows/{id}", pages.flow)
    app.router.add_get("/subjects/{subject:.+}", pages.subject)
    mount_finding(app, found, "/flows?q=")
    app.router.add_get("/api/flows", flows)
    app.router.add_get("/api/flows/{id}", flow)
    app.router.add_get("/api/subjects/{subject:.+}", subject)


async def found(wanted: str) -> str:
    """Where flows are listed that this text finds."""
    async with reading() as db:
        some = await list_flows(db, Filter(q=wanted, limit=1), await knowledge(db))
    return f"/flows?q={quote(wanted, safe='')}" if some.lines else ""


async def flows(request: web.Request) -> web.Response:
    """One page of flows, the newest first: `q`, `state`, `type`, `service`, `at`, `limit`, `after`."""
    wanted = filter_asked(request.query)
    async with reading() as db:
        found = await list_flows(db, wanted, await knowledge(db))
    return web.json_response(
        {
            "flows": [line_json(each) for each in found.lines],
            "next": next_page("/api/flows", request.query, found),
            "at": rfc3339(wanted.at) if wanted.at else None,
        }
    )


async def flow(request: web.Request) -> web.Response:
    """One flow with every fact, its payloads masked; 404 where nothing is known of it."""
    at = moment_asked(request.query)
    id = request.match_info["id"]
    async with reading() as db:
        known = await knowledge(db)
        found = await flow_of(db, id, known, at)
    if found is None:
        raise web.HTTPNotFound(text=f"nothing is known of flow {id}")
    now = at or SystemClock().now()
    return web.json_response(flow_json(found, masks_of(known), now))


async def subject(request: web.Request) -> web.Response:
    """Where a subject is, in a sentence, with its flows; 404 where nothing is known of it."""
    at = moment_asked(request.query)
    name = request.match_info["subject"]
    async with reading() as db:
        known = await knowledge(db)
        found = await flows_of_subject(db, name, known, at)
    if not found:
        raise web.HTTPNotFound(text=f"nothing is known of {name}")
    now = at or SystemClock().now()
    chosen = telling(found)
    answer: dict[str, Any] = {
        "subject": name,
        "sentence": plain(where_is(name, chosen, now)),
        "state": chosen.state.value,
        "flow": chosen.id,
        "waits_for": [each.subscription for each in chosen.waiting],
        "flows": [line_json(line_of(each)) for each in found],
        "at": rfc3339(at) if at else None,
    }
    return web.json_response(answer)
