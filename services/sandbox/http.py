"""The outside world over HTTP. Each request is in the books before it is answered.

| route | answer |
|---|---|
| `POST /cards/authorisations` `{order_id, card, total_cents}` | 201 `{id}`, 402 declined |
| `POST /cards/voids` `{order_id, original}` | 200 `{id, voided_cents}`; 0: nothing was held |
| `POST /cards/captures` `{order_id, authorisation_id, total_cents}` | 201 `{id}`, 409 `{error}` |
| `POST /cards/refunds` `{order_id, original}` | 200 `{id, refunded_cents}`; 0: nothing had been captured |
| `POST /stock/reservations` `{order_id, sku, quantity}` | 201 `{id}`, 409 `{error: "sold-out"}` |
| `POST /stock/releases` `{order_id, original}` | 200 `{id}` |
| `POST /carrier/parcels` `{order_id, sku, quantity}` | 201 `{id}`, 422 `{error: "refused"}` |
| `POST /carrier/recalls` `{order_id, original}` | 200 `{id}` |
| `POST /crm/leads` `{email, …}`, `POST /mail/messages` `{to, title, text, …}` | 201 `{id}` |
| `GET /books/{target}?after=&limit=` | `{books: [line], next: id or null}` in order |
| `GET /mailbox?after=&limit=` | `{mails: [mail], next: id or null}`: each mail that was sent, once |
| `POST /faults` (see `faults`), `GET /faults` | 201 the fault, `{faults: [fault]}` |
| `DELETE /faults/{id}`, `DELETE /faults?target=` | 204, `{removed: number}` |

What acts needs the header `Idempotency-Key`; a key used with other data, or given back, is 409. `original` is the key
of the act that is given back; a capture is 409 "voided", "captured" or "unknown" where its authorisation is so. A line
of the books is `{id, target, api, key, original, request, began, ended, status, did, fault, answer}`, times in seconds
since 1970, `ended` null while an answer is held back, `original` in a capture the key of its authorisation.
"""

import asyncio
import json
from collections.abc import Mapping

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from services.sandbox import storage
from services.sandbox.bodies import BODIES
from services.sandbox.clerk import Clerk, now
from services.sandbox.domain import Api, Asked, Did, Entry, Slip, Target, Verdict
from services.sandbox.faults import LATE, LIE, MAX_FAULTS, REFUSED, Faults, Kind, NewFault
from services.sandbox.service import sandbox

#: Longest Idempotency-Key, in characters.
MAX_KEY_LENGTH = 255
#: Most lines on one page.
MAX_PAGE = 500

CLERK = web.AppKey("clerk", Clerk)
FAULTS = web.AppKey("faults", Faults)


class PageQuery(BaseModel):
    """Which page of the books."""

    model_config = ConfigDict(frozen=True)

    after: int = Field(default=0, ge=0, le=2**62)
    limit: int = Field(default=100, ge=1, le=MAX_PAGE)


async def ask(request: web.Request) -> web.Response:
    """`POST` to one of the systems."""
    began = now()
    api = Api(request.path.removeprefix("/"))
    key = request.headers.get("Idempotency-Key", "")
    body, mistake = _read(api, key, await request.read())
    fault = request.app[FAULTS].befall(api, body, began)
    kind = fault.kind if fault else None
    delay = fault.delay_ms / 1000 if fault else 0.0
    if kind is Kind.DELAY:
        await asyncio.sleep(delay)
    asked = Asked(api, "" if mistake else key, body, began, kind or "", kind is Kind.DECLINE)
    clerk = request.app[CLERK]
    line = await clerk.book(Slip(asked, (REFUSED.get(kind) if kind else None) or mistake, late=kind in LATE))
    if kind in LATE:
        await asyncio.sleep(delay)
        await clerk.answered(line.id)
    said = LIE if kind is Kind.LIE else line.verdict
    headers = {"Retry-After": str(fault.retry_after)} if fault and kind is Kind.LIMIT else None
    return web.json_response(said.answer, status=said.status, headers=headers)


async def get_books(request: web.Request) -> web.Response:
    """`GET /books/{target}`."""
    target = request.match_info["target"]
    if target not in set(Target):
        return web.json_response({"error": f"there is no {target}: ask for {', '.join(Target)}"}, status=404)
    lines, following = await _page(request, Target(target))
    return web.json_response({"books": [_shown(line) for line in lines], "next": following})


async def get_mailbox(request: web.Request) -> web.Response:
    """`GET /mailbox`."""
    lines, following = await _page(request, Target.MAIL, Did.SENT)
    mails = [{**line.asked.request, "id": line.id, "key": line.asked.key, "at": line.asked.began} for line in lines]
    return web.json_response({"mails": mails, "next": following})


async def post_fault(request: web.Request) -> web.Response:
    """`POST /faults`."""
    new = NewFault.model_validate_json(await request.read())
    fault = request.app[FAULTS].add(new, now())
    if fault is None:
        return web.json_response({"error": f"{MAX_FAULTS} faults stand already: remove some"}, status=409)
    return web.json_response(fault.shown(), status=201)


async def get_faults(request: web.Request) -> web.Response:
    """`GET /faults`."""
    return web.json_response({"faults": [fault.shown() for fault in request.app[FAULTS].standing(now())]})


async def delete_fault(request: web.Request) -> web.Response:
    """`DELETE /faults/{id}`."""
    if request.app[FAULTS].remove(int(request.match_info["id"])):
        return web.Response(status=204)
    return web.json_response({"error": f"there is no fault {request.match_info['id']}"}, status=404)


async def delete_faults(request: web.Request) -> web.Response:
    """`DELETE /faults?target=`; without a target all of them."""
    target = request.query.get("target")
    if target is not None and target not in set(Target):
        return web.json_response({"error": f"there is no {target}: ask for {', '.join(Target)}"}, status=404)
    return web.json_response({"removed": request.app[FAULTS].remove_all(Target(target) if target else None)})


@sandbox.http
def mount(app: web.Application) -> None:
    """Put the routes on the service's port."""
    app[CLERK] = Clerk()
    app[FAULTS] = Faults()
    for api in Api:
        app.router.add_post(f"/{api}", ask)
    app.router.add_get("/books/{target}", get_books)
    app.router.add_get("/mailbox", get_mailbox)
    app.router.add_post("/faults", post_fault)
    app.router.add_get("/faults", get_faults)
    app.router.add_delete("/faults", delete_faults)
    app.router.add_delete(r"/faults/{id:\d{1,18}}", delete_fault)


def _read(api: Api, key: str, raw: bytes) -> tuple[Mapping[str, object], Verdict | None]:
    """The body of a request, and what is wrong with the request."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return {}, Verdict(400, Did.NONE, {"error": "the body is no JSON"})
    if not isinstance(body, dict):
        return {}, Verdict(400, Did.NONE, {"error": "the body is no JSON object"})
    if not 0 < len(key) <= MAX_KEY_LENGTH or not key.isascii() or not key.isprintable():
        error = f"header Idempotency-Key must name this request in 1 to {MAX_KEY_LENGTH} ASCII characters"
        return body, Verdict(400, Did.NONE, {"error": error})
    try:
        BODIES[api].model_validate(body)
    except ValidationError as error:
        fields = [{"field": ".".join(map(str, each["loc"])), "cause": each["msg"]} for each in error.errors()]
        return body, Verdict(422, Did.NONE, {"error": "the request is malformed", "fields": fields})
    return body, None


async def _page(request: web.Request, target: Target, did: Did | None = None) -> tuple[list[Entry], int | None]:
    query = PageQuery.model_validate(dict(request.query))
    async with sandbox.tx() as tx:
        lines = await storage.page(await tx.read(), target, query.after, query.limit, did)
    return lines, lines[-1].id if len(lines) == query.limit else None


def _shown(line: Entry) -> dict[str, object]:
    return {
        "id": line.id,
        "target": line.asked.api.target,
        "api": line.asked.api,
        "key": line.asked.key,
        "original": line.asked.original,
        "request": line.asked.request,
        "began": line.asked.began,
        "ended": line.ended,
        "status": line.verdict.status,
        "did": line.verdict.did,
        "fault": line.asked.fault,
        "answer": line.verdict.answer,
    }
