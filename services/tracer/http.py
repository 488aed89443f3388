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
from services.tracer.ask.around import around
from services.tracer.ask.breakers import breakers_of, last_changes, waiting_by_subscription
from services.tracer.ask.drift import drift_of
from services.tracer.ask.flows import Filter, flow_of, flows_of_subject, line_of, list_flows, telling
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.own import own_state, waiting_to_be_folded
from services.tracer.ask.services import heartbeats_of, retired_of, services_of
from services.tracer.keep.summaries import fold_unfolded
from services.tracer.service import Settings, tracer
from services.tracer.show.as_json import breaker_json, flow_json, line_json, own_json
from services.tracer.show.drift_words import drift_json
from services.tracer.show.pages import Pages
from services.tracer.show.parameters import filter_asked, moment_asked, name_asked, next_page
from services.tracer.show.sentences import plain, where_is

_HERE = Path(__file__).parent / "show"
_BAR = (
    Page("overview", "/", "Overview", "o"),
    Page("flows", "/flows", "Flows", "f"),
    Page("breakers", "/breakers", "Breakers", "b"),
    Page("drift", "/drift", "Drift", "r"),
)


@asynccontextmanager
async def reading() -> AsyncIterator[AsyncConnection]:
    """A connection that reads committed facts."""
    async with tracer.tx() as tx:
        yield await tx.read()


@asynccontextmanager
async def reading_folded() -> AsyncIterator[AsyncConnection]:
    """The same for lists and counts, which show summaries: what waits to be folded is folded first, since one asks.

    A bounded number: a reader that has more to do than it can says on the overview how many flows are left.
    """
    async with tracer.tx() as tx:
        waits = await waiting_to_be_folded(await tx.read(), tx.time)
    if waits:
        async with tracer.tx() as tx:
            db = await tx.db()
            await tracer.take_turn(db)
            await fold_unfolded(db, tx.time)
    async with reading() as db:
        yield db


@tracer.http
def routes(app: web.Application) -> None:
    """Mount the pages and the routes for programs."""
    clock = SystemClock()
    console = mount(
        app, name="tracer", templates=_HERE / "templates", static=_HERE / "static", pages=_BAR, search="/find",
        desk_url=Settings().desk_url, clock=clock, anyone_can="read every flow, with its events",
    )  # fmt: skip
    pages = Pages(console, reading, reading_folded, Settings().bounds)
    app.router.add_get("/", pages.overview)
    app.router.add_get("/flows", pages.flows)
    app.router.add_get("/flows/{name}", pages.flow)
    for path in ("/subjects/{name:.+}", "/subjects"):
        app.router.add_get(path, pages.subject)
    app.router.add_get("/flow", pages.flow)
    app.router.add_get("/breakers", pages.breakers)
    app.router.add_get("/drift", pages.drift)
    mount_finding(app, found, "/flows?q=", tracer.pseudonyms_of)
    app.router.add_get("/api/flows", flows)
    app.router.add_get("/api/flows/{name}", flow)
    for path in ("/api/subjects/{name:.+}", "/api/subjects"):
        app.router.add_get(path, subject)
    app.router.add_get("/api/tracer", own)
    app.router.add_get("/api/breakers", breakers)
    app.router.add_get("/api/drift", drift)


async def found(wanted: str) -> str:
    """Where flows are listed that this text finds."""
    async with reading() as db:
        some = await list_flows(db, Filter(q=wanted, limit=1), await knowledge(db))
    return f"/flows?q={quote(wanted, safe='')}" if some.lines else ""


async def flows(request: web.Request) -> web.Response:
    """One page of flows, the newest first: `q`, `state`, `type`, `service`, `at`, `limit`, `after`."""
    wanted = filter_asked(request.query)
    async with reading_folded() as db:
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
    id = name_asked(request)
    async with reading() as db:
        known = await knowledge(db)
        found = await flow_of(db, id, known, at, SystemClock().now())
        reasons = await around(db, known, SystemClock().now(), at)
    if found is None:
        raise web.HTTPNotFound(text=f"nothing is known of flow {id}")
    now = at or SystemClock().now()
    return web.json_response(flow_json(found, known, now, reasons))


async def subject(request: web.Request) -> web.Response:
    """Where a subject is, in a sentence, with its flows; 404 where nothing is known of it."""
    at = moment_asked(request.query)
    name = name_asked(request)
    async with reading() as db:
        known = await knowledge(db)
        found = await flows_of_subject(db, name, known, at, SystemClock().now())
        reasons = await around(db, known, SystemClock().now(), at)
    if not found:
        raise web.HTTPNotFound(text=f"nothing is known of {name}")
    now = at or SystemClock().now()
    chosen = telling(found)
    answer: dict[str, Any] = {
        "subject": name,
        "sentence": plain(where_is(name, chosen, now, reasons)),
        "state": chosen.state.value,
        "flow": chosen.id,
        "waits_for": [each.subscription for each in chosen.waiting],
        "flows": [line_json(line_of(each)) for each in found],
        "at": rfc3339(at) if at else None,
    }
    return web.json_response(answer)


async def own(request: web.Request) -> web.Response:
    """How the tracer itself stands: seconds behind, hours that each stream holds and its reader is behind."""
    now = SystemClock().now()
    async with reading() as db:
        known = await knowledge(db)
        services, retired = services_of(await heartbeats_of(db), known, now), await retired_of(db, known)
        return web.json_response(own_json(await own_state(db, now, Settings().bounds), services, retired))


async def breakers(request: web.Request) -> web.Response:
    """Every breaker: its state, since when and why, its next probe, and how many flows wait for which subscription."""
    now = SystemClock().now()
    async with reading_folded() as db:
        known, changes = await knowledge(db), await last_changes(db)
        found = breakers_of(await heartbeats_of(db), changes, known, await waiting_by_subscription(db))
    return web.json_response({"breakers": [breaker_json(each, now) for each in found]})


async def drift(request: web.Request) -> web.Response:
    """What drifts and what is compared: source, type, path, kind, since when, how often, who reads it."""
    now = SystemClock().now()
    async with reading() as db:
        return web.json_response(drift_json(await drift_of(db, await knowledge(db), now), now))
