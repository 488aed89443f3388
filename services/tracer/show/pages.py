"""The tracer's pages: overview, flows, one flow, one subject, breakers, drift."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncConnection

from hocket.console import Console, tree_of, with_query
from hocket.console.facts import BreakerChange
from services.tracer.ask.around import around
from services.tracer.ask.breakers import breakers_of, changes_between, guards_of, last_changes, waiting_by_subscription
from services.tracer.ask.drift import drift_of, news_of
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
from services.tracer.fold.drift import BASELINE_EVENTS
from services.tracer.fold.flow import Flow
from services.tracer.fold.timeouts import TimeOutState
from services.tracer.show.breaker_words import about_breakers, goes_on, probes, why
from services.tracer.show.crossings import crossings_of
from services.tracer.show.drift_words import OVERVIEW_NEWS, about_drift, how_often, kind_of, news, sender, shown_of
from services.tracer.show.lanes import draw
from services.tracer.show.needs import needing as needing_words
from services.tracer.show.needs import needs_of, undo_of, way_out
from services.tracer.show.parameters import filter_asked, moment_asked, name_asked, next_page
from services.tracer.show.sentences import because, overview, plain, unheard, where_is
from services.tracer.show.timeout_words import answered_by, armed_by, stands
from services.tracer.show.views import SHOWN, chosen_of, narrowed, rows_of, still_to_come, took

#: Most rows of a table of facts on a page; the JSON has all.
MAX_ROWS = 1000
#: Most rows of a subject's history.
MAX_HISTORY = 200
#: Changes of breakers on their page: how far back, and how many.
SHOWN_CHANGES, MAX_CHANGES = timedelta(days=1), 40
#: Rows of breakers on their page, and on the overview; rows of each table beside the lanes. The JSON has all.
MAX_BREAKERS, MAX_SOME, MAX_BESIDE = 60, 15, 30


#: Rows of each table of the page of drift. The JSON has all.
MAX_DRIFT = 100


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
            beats = await heartbeats_of(db)
            breakers = breakers_of(beats, await last_changes(db), known, await waiting_by_subscription(db))
            needs = needs_of(await needing(db, known, now), known, now, breakers)
            own = await own_state(db, now, self._bounds)
            retired = await retired_of(db, known)
            drifted = news(await news_of(db, now - OVERVIEW_NEWS), now)
        services = services_of(beats, known, now)
        blind = unheard(own, services, now)
        return self._console.render(
            "overview.html", page="overview", now=now, counts=counts, needs=needs,
            services=services, retired=retired, breakers=breakers, most=MAX_SOME, own=own, needing=needing_words(needs),
            probes=probes, why=why, goes_on=partial(goes_on, now=now), drifted=drifted,
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
            now = at or self._console.now()
            reasons = await around(db, known, now, at)
            changes = await self._changes(db, known, flow, now)
        if flow is None:
            raise web.HTTPNotFound(text=f"Nothing is known of flow {name_asked(request)}.")
        view = "table" if request.query.get("view") == "table" else "lanes"
        rows = rows_of(flow, {each.key: each for some in changes.values() for each in some}.values())
        timeouts = [each for each in flow.timeouts if each.state is not TimeOutState.MARK]
        values: dict[str, Any] = {
            "flow": flow, "view": view, "at": at, "page": "flows", "moment": now,
            "zombies": [(each, undo_of(flow, each), way_out(flow, each)) for each in flow.zombies],
            "owner": known.owner, "because": partial(because, around=reasons), "around": reasons,
            "crossings": crossings_of(flow), "timeouts": timeouts, "unless": partial(answered_by, known=known),
            "stands": partial(stands, now=now), "armed_by": partial(armed_by, now=now), "why": why, "most": MAX_BESIDE,
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
        drawing = draw(flow, now, known.owner, changes)
        chosen = chosen_of(flow, drawing, request.query.get("sel", ""), known.masks)
        return self._console.render(
            "lanes.html", drawing=drawing, chosen=chosen,
            payload=tree_of(chosen.payload) if chosen and chosen.payload is not None else None,
            pick=lambda key: with_query(request.path, request.query, sel=key), **values,
        )  # fmt: skip

    async def _changes(
        self, db: AsyncConnection, known: Knowledge, flow: Flow | None, now: datetime
    ) -> Mapping[str, Sequence[BreakerChange]]:
        """How the breakers of a flow's deliveries changed while it went on, by subscription."""
        if flow is None or flow.began is None:
            return {}
        names = {each.subscription for each in flow.deliveries}
        keys = {name: guards_of(name, known) for name in names}
        until = now if flow.going or flow.ended is None else flow.ended
        found = await changes_between(db, {key for each in keys.values() for key in each}, flow.began, until)
        return {name: [each for each in found if (each.service, each.name) in keys[name]] for name in names}

    async def breakers(self, request: web.Request) -> web.Response:
        """Which dependency is ill, since when and why, who waits for it, and when is it tried again?"""
        now = self._console.now()
        async with self._reading_folded() as db:
            known = await knowledge(db)
            beats = await heartbeats_of(db)
            breakers = breakers_of(beats, await last_changes(db), known, await waiting_by_subscription(db))
            keys = {(each.service, each.name) for each in breakers}
            changes = await changes_between(db, keys, now - SHOWN_CHANGES, now)
        return self._console.render(
            "breakers.html", page="breakers", now=now, breakers=breakers, changes=changes[::-1][:MAX_CHANGES],
            sentence=about_breakers(breakers), most=MAX_BREAKERS, probes=probes, why=why,
            goes_on=partial(goes_on, now=now),
        )  # fmt: skip

    async def drift(self, request: web.Request) -> web.Response:
        """Who began to send what otherwise than it is read, since when, and who reads it?"""
        now = self._console.now()
        async with self._reading() as db:
            drift = await drift_of(db, await knowledge(db), now)
        new, old = shown_of(drift, MAX_DRIFT)
        return self._console.render(
            "drift.html", page="drift", now=now, new=new, old=old, more=len(drift.paths) - len(new) - len(old),
            compared=drift.compared[:MAX_DRIFT], sentence=about_drift(drift, now), baseline_events=BASELINE_EVENTS,
            how_often=how_often, kind_of=kind_of, sender=sender,
        )  # fmt: skip

    async def subject(self, request: web.Request) -> web.Response:
        """Where is it right now?"""
        at = moment_asked(request.query)
        name = name_asked(request)
        async with self._reading() as db:
            known = await knowledge(db)
            found = await flows_of_subject(db, name, known, at, self._console.now())
            reasons = await around(db, known, at or self._console.now(), at)
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
            stands=partial(stands, now=now), unless=partial(answered_by, known=known),
            because=partial(because, around=reasons), coming=still_to_come(flow, known), line_of=line_of, took=took,
        )  # fmt: skip
