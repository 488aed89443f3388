"""The tracer's pages: overview, flows, one flow, one subject."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Console, tree_of
from services.tracer.ask import flows
from services.tracer.show import views
from services.tracer.show.lanes import draw
from services.tracer.show.needs import needs_of
from services.tracer.show.parameters import filter_asked, moment_asked, next_page, with_query
from services.tracer.show.sentences import because, overview, plain, where_is

#: Rows of a table of facts that are shown; the address for programs has all.
MAX_ROWS = 1000
#: Rows of a subject's history.
MAX_HISTORY = 200
#: States that the flows page offers.
STATES = ("zombie", "waiting", "running", "done", "compensated", "failed")


class Pages:
    """The pages over one console; `reading` opens committed facts."""

    def __init__(self, console: Console, reading: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        self._console = console
        self._reading = reading

    async def overview(self, request: web.Request) -> web.Response:
        """Is anything wrong, and whose is it?"""
        now = self._console.now()
        async with self._reading() as db:
            known = await flows.knowledge(db)
            counts = await flows.count_states(db, now)
            needs = needs_of(await flows.needing(db, known), known, now)
            beats = await flows.heartbeats_of(db)
            own = await flows.own_state(db)
        dead = sum(each.flows for each in needs if each.state != "zombie")
        return self._console.render(
            "overview.html", page="overview", now=now, counts=counts, needs=needs,
            services=flows.services_of(beats, known), breakers=flows.breakers_of(beats), own=own,
            sentence=overview(((each.state, each.many) for each in counts), dead),
        )  # fmt: skip

    async def flows(self, request: web.Request) -> web.Response:
        """Which flows?"""
        wanted = filter_asked(request.query)
        async with self._reading() as db:
            known = await flows.knowledge(db)
            found = await flows.list_flows(db, wanted, known)
        chips = [("", "all"), *((each, each) for each in STATES)]
        return self._console.render(
            "flows.html", page="flows", query=wanted.q, at=wanted.at, wanted=wanted, lines=found.lines,
            took=views.took, owner=known.owner, later=next_page("/flows", request.query, found),
            first=wanted.before is None,
            chips=[
                (word, with_query("/flows", request.query, state=state, after=""), state == wanted.state)
                for state, word in chips
            ],
        )  # fmt: skip

    async def flow(self, request: web.Request) -> web.Response:
        """What happened, in time (lanes) or exactly (table)?"""
        at = moment_asked(request.query)
        async with self._reading() as db:
            known = await flows.knowledge(db)
            flow = await flows.flow_of(db, request.match_info["id"], known, at)
        if flow is None:
            raise web.HTTPNotFound(text=f"Nothing is known of flow {request.match_info['id']}.")
        now = at or self._console.now()
        view = "table" if request.query.get("view") == "table" else "lanes"
        rows = views.rows_of(flow)
        values: dict[str, Any] = {
            "flow": flow, "view": view, "at": at, "page": "flows", "moment": now,
            "sentence": where_is("It", flow, now),
            "attempts": sum(not each.event for each in rows), "failed": sum(each.failed for each in rows),
            "views": [(each, with_query(request.path, request.query, view=each)) for each in ("lanes", "table")],
        }  # fmt: skip
        if view == "table":
            show = request.query.get("show", "all")
            shown = views.narrowed(rows, show)
            chips = [
                (
                    each,
                    len(views.narrowed(rows, each)),
                    with_query(request.path, request.query, show=each),
                    each == show,
                )
                for each in views.SHOWN
            ]
            return self._console.render(
                "table.html", rows=shown[:MAX_ROWS], more=max(0, len(shown) - MAX_ROWS), chips=chips, **values
            )
        drawing = draw(flow, now, known.owner)
        chosen = views.chosen_of(flow, drawing, request.query.get("sel", ""), views.masks_of(known))
        return self._console.render(
            "lanes.html", drawing=drawing, chosen=chosen, owner=known.owner, because=because,
            payload=tree_of(chosen.payload) if chosen and chosen.payload is not None else None,
            pick=lambda key: with_query(request.path, request.query, sel=key), **values,
        )  # fmt: skip

    async def subject(self, request: web.Request) -> web.Response:
        """Where is it right now?"""
        at = moment_asked(request.query)
        name = request.match_info["subject"]
        async with self._reading() as db:
            known = await flows.knowledge(db)
            found = await flows.flows_of_subject(db, name, known, at)
            waiting = flows.telling(found).waiting if found else ()
            others = await flows.others_waiting(db, waiting[0].subscription, found) if waiting else 0
        now = at or self._console.now()
        if not found:
            return self._console.render("nothing.html", status=404, subject=name, at=at, page="flows")
        flow = flows.telling(found)
        history = sorted((row for each in found for row in views.rows_of(each)), key=lambda row: row.time, reverse=True)
        return self._console.render(
            "subject.html", page="flows", subject=name, flow=flow, flows=found, at=at, moment=now,
            sentence=where_is(name, flow, now), answer=plain(where_is(name, flow, now)),
            history=history[:MAX_HISTORY], waiting=waiting, others=others, owner=known.owner, because=because,
            coming=views.still_to_come(flow, known.manifests, known), line_of=flows.line_of, took=views.took,
        )  # fmt: skip
