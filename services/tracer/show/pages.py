"""The tracer's pages: overview, flows, one flow, one subject."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Console, tree_of, with_query
from services.tracer.ask.flows import (
    count_states,
    flow_of,
    flows_of_subject,
    line_of,
    list_flows,
    needing,
    others_waiting,
    telling,
)
from services.tracer.ask.knowledge import knowledge
from services.tracer.ask.services import breakers_of, heartbeats_of, own_state, services_of
from services.tracer.show.lanes import draw
from services.tracer.show.needs import needs_of
from services.tracer.show.parameters import filter_asked, moment_asked, next_page
from services.tracer.show.sentences import because, overview, plain, where_is
from services.tracer.show.views import SHOWN, chosen_of, masks_of, narrowed, rows_of, still_to_come, took

#: Most rows of a table of facts on a page; the JSON has all.
MAX_ROWS = 1000
#: Most rows of a subject's history.
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
            known = await knowledge(db)
            counts = await count_states(db, now)
            needs = needs_of(await needing(db, known), known, now)
            beats = await heartbeats_of(db)
            own = await own_state(db)
        dead = sum(each.flows for each in needs if each.state != "zombie")
        return self._console.render(
            "overview.html", page="overview", now=now, counts=counts, needs=needs,
            services=services_of(beats, known), breakers=breakers_of(beats), own=own,
            sentence=overview(((each.state, each.many) for each in counts), dead),
        )  # fmt: skip

    async def flows(self, request: web.Request) -> web.Response:
        """Which flows?"""
        wanted = filter_asked(request.query)
        async with self._reading() as db:
            known = await knowledge(db)
            found = await list_flows(db, wanted, known)
        chips = [("", "all"), *((each, each) for each in STATES)]
        return self._console.render(
            "flows.html", page="flows", query=wanted.q, at=wanted.at, wanted=wanted, lines=found.lines,
            took=took, owner=known.owner, later=next_page("/flows", request.query, found),
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
            known = await knowledge(db)
            flow = await flow_of(db, request.match_info["id"], known, at)
        if flow is None:
            raise web.HTTPNotFound(text=f"Nothing is known of flow {request.match_info['id']}.")
        now = at or self._console.now()
        view = "table" if request.query.get("view") == "table" else "lanes"
        rows = rows_of(flow)
        values: dict[str, Any] = {
            "flow": flow, "view": view, "at": at, "page": "flows", "moment": now,
            "sentence": where_is("It", flow, now),
            "attempts": sum(not each.event for each in rows), "failed": sum(each.failed for each in rows),
            "views": [(each, with_query(request.path, request.query, view=each)) for each in ("lanes", "table")],
        }  # fmt: skip
        if view == "table":
            show = request.query.get("show", "all")
            shown = narrowed(rows, show)
            chips = [
                (
                    each,
                    len(narrowed(rows, each)),
                    with_query(request.path, request.query, show=each),
                    each == show,
                )
                for each in SHOWN
            ]
            return self._console.render(
                "table.html", rows=shown[:MAX_ROWS], more=max(0, len(shown) - MAX_ROWS), chips=chips, **values
            )
        drawing = draw(flow, now, known.owner)
        chosen = chosen_of(flow, drawing, request.query.get("sel", ""), masks_of(known))
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
            known = await knowledge(db)
            found = await flows_of_subject(db, name, known, at)
            waiting = telling(found).waiting if found else ()
            others = await others_waiting(db, waiting[0].subscription, found) if waiting else 0
        now = at or self._console.now()
        if not found:
            return self._console.render("nothing.html", status=404, subject=name, at=at, page="flows")
        flow = telling(found)
        history = sorted((row for each in found for row in rows_of(each)), key=lambda row: row.time, reverse=True)
        return self._console.render(
            "subject.html", page="flows", subject=name, flow=flow, flows=found, at=at, moment=now,
            sentence=where_is(name, flow, now), answer=plain(where_is(name, flow, now)),
            history=history[:MAX_HISTORY], waiting=waiting, others=others, owner=known.owner, because=because,
            coming=still_to_come(flow, known.manifests, known), line_of=line_of, took=took,
        )  # fmt: skip
