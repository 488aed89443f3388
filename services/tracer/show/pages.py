"""The tracer's pages: overview, flows, one flow, one subject."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Console, tree_of, with_query
from services.tracer.ask.around import Around, around
from services.tracer.ask.breakers import breakers_of
from services.tracer.ask.flows import (
    ORDER,
    count_states,
    flow_of,
    flows_of_subject,
    line_of,
    list_flows,
    needing,
    others_waiting,
    telling,
)
from services.tracer.ask.knowledge import Knowledge, knowledge
from services.tracer.ask.own import Bounds, own_state
from services.tracer.ask.services import heartbeats_of, retired_of, services_of
from services.tracer.show.lanes import draw
from services.tracer.show.needs import needs_of
from services.tracer.show.parameters import filter_asked, moment_asked, name_asked, next_page
from services.tracer.show.sentences import NOTHING, because, overview, plain, unheard, where_is
from services.tracer.show.views import SHOWN, chosen_of, narrowed, rows_of, still_to_come, took

#: Most rows of a table of facts on a page; the JSON has all.
MAX_ROWS = 1000
#: Most rows of a subject's history.
MAX_HISTORY = 200


Reading = Callable[[], AbstractAsyncContextManager[AsyncConnection]]


class Pages:
    """The pages over one console.

    `reading` opens committed facts; `reading_folded` as well, after folding what waits; `bounds` are the streams'.
    """

    def __init__(self, console: Console, reading: Reading, reading_folded: Reading, bounds: Bounds) -> None:
        self._console = console
        self._reading = reading
        self._reading_folded = reading_folded
        self._bounds = bounds

    async def overview(self, request: web.Request) -> web.Response:
        """Is anything wrong, and whose is it?"""
        now = self._console.now()
        async with self._reading_folded() as db:
            known = await knowledge(db)
            counts, dead = await count_states(db, now)
            needs = needs_of(await needing(db, known, now), known, now)
            beats = await heartbeats_of(db)
            own = await own_state(db, now, self._bounds)
            retired = await retired_of(db, known)
        services = services_of(beats, known, now)
        blind = unheard(own, services, now)
        return self._console.render(
            "overview.html", page="overview", now=now, counts=counts, needs=needs,
            services=services, retired=retired, breakers=breakers_of(beats), own=own,
            blind=own.deaf or any(each.alarm for each in own.streams),
            sentence=overview(((each.state, each.many) for each in counts), dead, blind),
        )  # fmt: skip

    async def flows(self, request: web.Request) -> web.Response:
        """Which flows?"""
        wanted = filter_asked(request.query)
        async with self._reading_folded() as db:
            known = await knowledge(db)
            found = await list_flows(db, wanted, known)
        chips = [("", "all"), *((each.value, each.value) for each in ORDER)]
        return self._console.render(
            "flows.html", page="flows", query=wanted.q, at=wanted.at, wanted=wanted, lines=found.lines,
            took=took, owner=known.owner, later=next_page("/flows", request.query, found),
            newer=with_query("/flows", request.query, after="") if wanted.before is not None else "",
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
            flow = await flow_of(db, name_asked(request), known, at, self._console.now())
            reasons = await _around(db, known, at, self._console)
        if flow is None:
            raise web.HTTPNotFound(text=f"Nothing is known of flow {name_asked(request)}.")
        now = at or self._console.now()
        view = "table" if request.query.get("view") == "table" else "lanes"
        rows = rows_of(flow)
        values: dict[str, Any] = {
            "flow": flow, "view": view, "at": at, "page": "flows", "moment": now,
            "owners": [(each.name, known.owner(each.name.partition(".")[0])) for each in flow.zombies],
            "sentence": where_is("It", flow, now, reasons), "attempts": flow.attempts,
            "failed": sum(each.failed for each in rows),
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
        chosen = chosen_of(flow, drawing, request.query.get("sel", ""), known.masks)
        return self._console.render(
            "lanes.html", drawing=drawing, chosen=chosen, owner=known.owner, because=partial(because, around=reasons),
            payload=tree_of(chosen.payload) if chosen and chosen.payload is not None else None,
            pick=lambda key: with_query(request.path, request.query, sel=key), **values,
        )  # fmt: skip

    async def subject(self, request: web.Request) -> web.Response:
        """Where is it right now?"""
        at = moment_asked(request.query)
        name = name_asked(request)
        async with self._reading() as db:
            known = await knowledge(db)
            found = await flows_of_subject(db, name, known, at, self._console.now())
            reasons = await _around(db, known, at, self._console)
            waiting = telling(found).waiting if found else ()
            others = await others_waiting(db, waiting[0].subscription, found) if waiting else 0
        now = at or self._console.now()
        if not found:
            return self._console.render("nothing.html", status=404, subject=name, at=at, page="flows")
        flow = telling(found)
        history = sorted((row for each in found for row in rows_of(each)), key=lambda row: row.time, reverse=True)
        return self._console.render(
            "subject.html", page="flows", subject=name, flow=flow, flows=found, at=at, moment=now,
            sentence=where_is(name, flow, now, reasons), answer=plain(where_is(name, flow, now, reasons)),
            history=history[:MAX_HISTORY], waiting=waiting, others=others, owner=known.owner,
            because=partial(because, around=reasons), coming=still_to_come(flow, known), line_of=line_of, took=took,
        )  # fmt: skip


async def _around(db: AsyncConnection, known: Knowledge, at: datetime | None, console: Console) -> Around:
    """What heartbeats say of now; of a past moment nothing is known, only the newest are kept."""
    return NOTHING if at else await around(db, known, console.now())
