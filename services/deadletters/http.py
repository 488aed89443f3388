"""The desk over HTTP: the API for programs and the terminal; `pages` has what people look at.

| route | answer |
|---|---|
| `GET /api/dead?state=&cause=&subscription=&group=&after=&limit=` | `{"letters", "next", "counts"}`, oldest first |
| `GET /api/dead/{id}` | one letter with all that is known, 404 |
| `GET /api/dead/{id}/replay` | what a replay would do; nothing is sent |
| `POST /api/dead/{id}/replay` `{"reason"?}` | 202 what was done, 409 the sentence why not, 503 not taken: repeat it |
| `POST /api/dead/{id}/discard` `{"reason"}` | 200, 409 |

An act needs a same-origin request or, from a program, the header `X-Hocket-Act: 1`; else 403.
"""

from pathlib import Path
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from hocket.console import Page, mount
from services.deadletters.act import replay as acts
from services.deadletters.fold.state import Plan, State
from services.deadletters.service import Settings, deadletters
from services.deadletters.show import pages, views
from services.deadletters.show.parameters import MAX_ACT_BYTES, Query, Why, found, missing, who_of, wrong

#: Templates, and static/desk.css, which every page of a console named `desk` asks for.
_HERE = Path(__file__).parent / "show"
#: Entries of the top bar.
PAGES = (Page("groups", "/", "Groups", "o"), Page("letters", "/letters", "Letters", "l"))


async def letters(request: web.Request) -> web.Response:
    """`GET /api/dead`."""
    try:
        query = Query.model_validate({name: value for name, value in request.query.items() if value})
    except ValidationError as error:
        raise wrong(error) from None
    async with deadletters.tx() as tx:
        db = await tx.read()
        rows = await views.find(db, query.where(), after=query.after, limit=query.limit, newest=False)
        owners, masks = await views.owners_of(db), await views.masks_of(db)
        counts = await views.counts_of(db)
    listed = [views.listed(row, owners, masks) for row in rows]
    return web.json_response({"letters": listed, "next": views.cursor(rows, query.limit), "counts": counts})


async def letter(request: web.Request) -> web.Response:
    """`GET /api/dead/{id}`."""
    async with deadletters.tx() as tx:
        db = await tx.read()
        return web.json_response(await views.whole(db, await found(request, db, tx.time)))


async def would(request: web.Request) -> web.Response:
    """`GET /api/dead/{id}/replay`: the dry run."""
    async with deadletters.tx() as tx:
        planned = await found(request, await tx.read(), tx.time)
    return web.json_response({"letter": planned.letter.id, **dry_run(planned.plan), "event": _event(planned.letter)})


def dry_run(plan: Plan) -> dict[str, Any]:
    """A plan, for programs."""
    return {
        "would_send": not plan.refusal,
        "refusal": plan.refusal or None,
        "subscription": plan.subscription,
        "attempt": plan.attempt,
        "repeats": plan.repeats or None,
        "warnings": list(plan.warnings),
        "then": plan.then,
    }


def _event(row: Any) -> dict[str, Any] | None:
    return {"id": row.event_id, "type": row.type, "subject": row.subject} if row.event_id else None


async def _why(request: web.Request) -> str:
    if (request.content_length or 0) > MAX_ACT_BYTES:
        raise web.HTTPBadRequest(text=f"body: larger than {MAX_ACT_BYTES} bytes")
    body = await request.read()
    try:
        return Why.model_validate_json(body or b"{}").reason
    except ValidationError as error:
        raise wrong(error) from None


async def replay(request: web.Request) -> web.Response:
    """`POST /api/dead/{id}/replay`."""
    try:
        sent = await acts.replay(request.match_info["id"], who=who_of(request), reason=await _why(request))
    except acts.NoLetter:
        raise missing(request) from None
    except acts.Refused as refusal:
        raise web.HTTPConflict(text=str(refusal)) from None
    answer = {
        "letter": sent.letter,
        "replay": sent.replay,
        "subscription": sent.subscription,
        "attempt": sent.attempt,
        "sent": not sent.failure,
    }
    if sent.failure:
        return web.json_response({**answer, "error": sent.failure}, status=503, headers={"Retry-After": "2"})
    return web.json_response(answer, status=202)


async def discard(request: web.Request) -> web.Response:
    """`POST /api/dead/{id}/discard`."""
    try:
        id = await acts.discard(request.match_info["id"], who=who_of(request), reason=await _why(request))
    except acts.NoLetter:
        raise missing(request) from None
    except acts.Refused as refusal:
        raise web.HTTPConflict(text=str(refusal)) from None
    return web.json_response({"letter": id, "state": State.DISCARDED.value})


@deadletters.http
def routes(app: web.Application) -> None:
    """Everything of the desk on the service's port."""
    console = mount(
        app,
        name="desk",
        templates=_HERE / "templates",
        static=_HERE / "static",
        pages=PAGES,
        tracer_url=Settings().tracer_url,
    )
    app.router.add_get("/api/dead", letters)
    app.router.add_get("/api/dead/{id}", letter)
    app.router.add_get("/api/dead/{id}/replay", would)
    app.router.add_post("/api/dead/{id}/replay", replay)
    app.router.add_post("/api/dead/{id}/discard", discard)
    pages.routes(app, pages.Desk(console, Settings().tracer_url))
