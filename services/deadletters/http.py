"""The desk's routes: JSON for programs and the command line; `show/pages` has the pages.

| route | answer |
|---|---|
| `GET /api/dead?state=&cause=&subscription=&group=&subject=&after=&limit=` | `{"letters", "next", "counts"}` |
| `GET /api/dead/{id}?earlier=` | one letter with what is known, 404; of many arrivals the newest, `earlier` leads on |
| `GET /api/dead/{id}/replay` | what a replay would do; nothing is sent |
| `POST /api/dead/{id}/replay` `{"reason"?}` | 202 what was done, 409 why it is refused, 503 not confirmed: repeat it |
| `POST /api/dead/{id}/discard` `{"reason"}` | 200, 409 |
| `GET /api/webhooks` | what webhooks services keep and refuse, and how pushes ended |
| `POST /api/services/{name}/retire` `{"reason"}` | 200, 404 a service never heard, 409 one that runs |

An act needs a same-origin request or, from a program, the header `X-Hocket-Act: 1`; else 403.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web

from hocket.console import Page, mount, mount_finding
from hocket.errors import RETRY_AFTER_SECONDS
from services.deadletters.act.discard import discard
from services.deadletters.act.refusal import Refused
from services.deadletters.act.replay import replay
from services.deadletters.ask.letters import counts_of, cursor, find_letters, masks_of, owners_of, subject_found
from services.deadletters.ask.replay_plan import NoLetter
from services.deadletters.fold.replay_plan import Plan
from services.deadletters.fold.state import State
from services.deadletters.service import Settings, deadletters
from services.deadletters.show import pages, retiring, webhooks
from services.deadletters.show.pages import Desk
from services.deadletters.show.parameters import (
    earlier_asked,
    found,
    letters_asked,
    missing,
    reason_of,
    who_of,
)
from services.deadletters.show.views import listed, whole

#: Templates, and static/desk.css, which every page of a console named `desk` asks for.
_HERE = Path(__file__).parent / "show"
#: Entries of the top bar.
PAGES = (
    Page("groups", "/", "Groups", "o"),
    Page("letters", "/letters", "Letters", "l"),
    Page("webhooks", "/webhooks", "Webhooks", "w"),
)


async def letters_named(wanted: str) -> str:
    """Where the letters about a subject that this text names are listed."""
    async with deadletters.tx() as tx:
        subject = await subject_found(await tx.read(), wanted)
    return f"/letters?subject={quote(subject, safe='')}" if subject else ""


async def get_letters(request: web.Request) -> web.Response:
    """`GET /api/dead`."""
    query = letters_asked(request)
    async with deadletters.tx() as tx:
        db = await tx.read()
        rows = await find_letters(db, query.where(), after=query.after, limit=query.limit, newest=False)
        owners, masks = await owners_of(db), await masks_of(db)
        counts = await counts_of(db)
    found_letters = [listed(row, owners, masks) for row in rows]
    return web.json_response({"letters": found_letters, "next": cursor(rows, query.limit), "counts": counts})


async def get_letter(request: web.Request) -> web.Response:
    """`GET /api/dead/{id}`."""
    async with deadletters.tx() as tx:
        db = await tx.read()
        return web.json_response(await whole(db, await found(request, db, tx.time), earlier_asked(request)))


async def get_replay(request: web.Request) -> web.Response:
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


@contextmanager
def _refusals(request: web.Request) -> Iterator[None]:
    """404 for an unknown letter, 409 with the sentence for an act that is refused."""
    try:
        yield
    except NoLetter:
        raise missing(request) from None
    except Refused as refusal:
        raise web.HTTPConflict(text=str(refusal)) from None


async def post_replay(request: web.Request) -> web.Response:
    """`POST /api/dead/{id}/replay`."""
    with _refusals(request):
        sent = await replay(request.match_info["id"], who=who_of(request), reason=await reason_of(request))
    answer = {
        "letter": sent.letter,
        "replay": sent.replay,
        "subscription": sent.subscription,
        "attempt": sent.attempt,
        "sent": not sent.failure,
    }
    if sent.failure:
        return web.json_response(
            {**answer, "error": sent.failure}, status=503, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}
        )
    return web.json_response(answer, status=202)


async def post_discard(request: web.Request) -> web.Response:
    """`POST /api/dead/{id}/discard`."""
    with _refusals(request):
        id = await discard(request.match_info["id"], who=who_of(request), reason=await reason_of(request))
    return web.json_response({"letter": id, "state": State.DISCARDED.value})


@deadletters.http
def routes(app: web.Application) -> None:
    """Mount the pages and the routes for programs."""
    console = mount(
        app,
        name="desk",
        templates=_HERE / "templates",
        static=_HERE / "static",
        pages=PAGES,
        search="/find",
        tracer_url=Settings().tracer_url,
        anyone_can="read the letters, replay and discard them, and retire services",
    )
    mount_finding(app, letters_named, "/letters?subject=", deadletters.pseudonyms_of)
    app.router.add_get("/api/dead", get_letters)
    app.router.add_get("/api/dead/{id}", get_letter)
    app.router.add_get("/api/dead/{id}/replay", get_replay)
    app.router.add_post("/api/dead/{id}/replay", post_replay)
    app.router.add_post("/api/dead/{id}/discard", post_discard)
    pages.routes(app, Desk(console, Settings().tracer_url))
    webhooks.routes(app, webhooks.WebhooksPage(console))
    retiring.routes(app, retiring.Retiring(console, Settings().tracer_url))
