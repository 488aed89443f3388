"""The page on which a person retires a service, and the same act for programs."""

from dataclasses import dataclass

from aiohttp import web

from hocket.console import Console
from services.deadletters.act.refusal import MAX_REASON, Refused
from services.deadletters.act.retire import NoService, going, retire
from services.deadletters.service import deadletters
from services.deadletters.show.parameters import form_reason, reason_of, who_of


@dataclass(frozen=True, slots=True)
class Retiring:
    """What the page needs: who renders it, and where the tracer is."""

    console: Console
    tracer_url: str

    async def ask(self, request: web.Request) -> web.Response:
        """`GET /services/{name}/retire`: what it would do."""
        return await self._shown(request)

    async def do(self, request: web.Request) -> web.Response:
        """`POST /services/{name}/retire`, with a form: the act, then the page that says so."""
        reason = await form_reason(request)
        try:
            await retire(request.match_info["name"], who=who_of(request), reason=reason)
        except NoService:
            raise _missing(request) from None
        except Refused as refusal:
            return await self._shown(request, refused=str(refusal), reason=reason)
        return await self._shown(request, done=True, reason=reason)

    async def _shown(
        self, request: web.Request, *, refused: str = "", reason: str = "", done: bool = False
    ) -> web.Response:
        async with deadletters.tx() as tx:
            try:
                found = await going(await tx.read(), request.match_info["name"], tx.time)
            except NoService:
                raise _missing(request) from None
        return self.console.render(
            "retire.html", status=409 if refused else 200, live=False, service=found, refused=refused, reason=reason,
            done=done, who=who_of(request), longest=MAX_REASON, tracer=self.tracer_url.rstrip("/"),
        )  # fmt: skip


async def post_retire(request: web.Request) -> web.Response:
    """`POST /api/services/{name}/retire`."""
    name = request.match_info["name"]
    try:
        await retire(name, who=who_of(request), reason=await reason_of(request))
    except NoService:
        raise _missing(request) from None
    except Refused as refusal:
        raise web.HTTPConflict(text=str(refusal)) from None
    return web.json_response({"service": name, "state": "retired"})


def _missing(request: web.Request) -> web.HTTPNotFound:
    return web.HTTPNotFound(text=f"No service {request.match_info['name'][:64]} has ever sent a heartbeat.")


def routes(app: web.Application, page: Retiring) -> None:
    """The addresses."""
    app.router.add_get("/services/{name}/retire", page.ask)
    app.router.add_post("/services/{name}/retire", page.do)
    app.router.add_post("/api/services/{name}/retire", post_retire)
