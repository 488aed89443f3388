"""Pages: rendering, security headers, page errors (`Retry-After` on a 503) and the same-origin check."""

import logging
from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from hocket.clock import Clock, SystemClock
from hocket.console.display import (
    control_marks,
    duration,
    fitted,
    foreign_text,
    id_element,
    short_id,
    stack_text,
    time_element,
)
from hocket.console.links import path_to
from hocket.console.masking import MASKED
from hocket.console.same_origin import foreign
from hocket.console.state_marks import mark_of
from hocket.errors import RETRY_AFTER_SECONDS, ConfigError, OutboxFull, StoreError
from hocket.outcome import words_beside
from hocket.setting_groups import LISTENS_ON

_HERE = Path(__file__).parent
_log = logging.getLogger("hocket.console")

#: Milliseconds between two reloads of an open page.
POLL_MS = 2000
#: docs/console.md §11: only our own scripts and styles, no request to another host, no frame.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
SECURITY_HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer a form of our own would say Origin: null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
#: Prefixes of paths for programs: errors there are JSON.
FOR_PROGRAMS = ("/api/", "/health/", "/metrics")


class Page(NamedTuple):
    """One entry of the top bar; `key` is the letter after `g` that goes there."""

    name: str
    href: str
    title: str
    key: str


class Console:
    """Renders one console's pages; made by `mount`."""

    def __init__(self, name: str, environment: Environment, clock: Clock) -> None:
        self.name = name
        self._environment = environment
        self._clock = clock

    def now(self) -> datetime:
        """The moment, in UTC."""
        return self._clock.now()

    def html(self, template: str, **values: Any) -> str:
        """A rendered template; `page` names the entry of the top bar that is chosen."""
        filled = {"now": self.now(), "page": "", "at": None, "query": "", "live": True, **values}
        return self._environment.get_template(template).render(filled)

    def render(self, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A whole page."""
        return web.Response(text=self.html(template, **values), status=status, content_type="text/html")

    def error(self, status: int, sentence: str) -> web.Response:
        """The page of an error: what happened, and a way back."""
        response = self.render("console/error.html", status=status, sentence=sentence, code=status, live=False)
        if status == 503:
            response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response


def mount(
    app: web.Application,
    *,
    name: str,
    templates: Path,
    static: Path | None = None,
    pages: Sequence[Page] = (),
    search: str = "",
    tracer_url: str = "/",
    desk_url: str = "/",
    anyone_can: str = "read them",
    clock: Clock | None = None,
) -> Console:
    """Make `app` a console and return what renders its pages.

    `name` is `tracer` or `desk`: which side of the switch is chosen. `templates` and `static` are the console's own
    folders; `static` is served below `/static/NAME/`. `search` is the path that takes a posted `q`
    ("" for no search field). `anyone_can` is what whoever reaches the port may do: pages say it where the service
    listens beyond loopback.
    `ConfigError` where the address of the other console is not an http address.
    """
    for setting, url in (("tracer_url", tracer_url), ("desk_url", desk_url)):
        if not url.startswith(("http://", "https://", "/")):
            raise ConfigError(f"{name}: {setting} is {url!r}: give an address that begins with http:// or https://")
    environment = Environment(
        loader=ChoiceLoader(
            [FileSystemLoader(templates), PrefixLoader({"console": FileSystemLoader(_HERE / "templates")})]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        clock=_clock, exact=_exact, duration=duration, short=short_id, id=id_element, shown=foreign_text,
        stack=stack_text, plain=control_marks, fit=fitted, beside=_beside,
    )  # fmt: skip
    environment.globals.update(
        mark_of=mark_of, path_to=path_to, MASKED=MASKED, console=name, pages=tuple(pages), search=search,
        tracer_url=tracer_url, desk_url=desk_url, poll=POLL_MS,
        anyone_can="" if _loopback(LISTENS_ON.get()) else anyone_can,
        own_style=bool(static and (static / f"{name}.css").exists()),
        own_script=bool(static and (static / f"{name}.js").exists()),
    )  # fmt: skip
    console = Console(name, environment, clock or SystemClock())
    app.router.add_static("/static/console/", _HERE / "static")
    if static:
        app.router.add_static(f"/static/{name}/", static)
    app.middlewares.append(_guard(console))
    app.on_response_prepare.append(_secure)
    return console


def _beside(error: str, cause: str) -> str:
    return words_beside(cause, error)


@pass_context
def _clock(context: Context, value: datetime | str | float | None) -> Markup:
    return time_element(value, context["now"])


@pass_context
def _exact(context: Context, value: datetime | str | float | None) -> Markup:
    return time_element(value, context["now"], exact=True)


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on every answer, errors included. Only static files may be cached."""
    response.headers.update(SECURITY_HEADERS)
    response.headers["Cache-Control"] = "no-cache" if request.path.startswith("/static/") else "no-store"


def _guard(console: Console) -> Middleware:
    """The middleware: refuses cross-site acts before anything runs, and turns errors into a page or JSON."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        for_programs = request.path.startswith(FOR_PROGRAMS)
        refusal = foreign(request)
        if refusal:
            return _answer(console, 403, refusal, for_programs)
        try:
            return await handler(request)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _answer(console, error.status, _sentence(request, error), for_programs)
        except (StoreError, OutboxFull) as error:
            if for_programs:
                raise  # the service's HTTP server answers programs
            return console.error(503, f"{error}. This page tries again by itself.")
        except Exception:
            if for_programs:
                raise
            _log.exception("page %s failed", request.path)
            return console.error(500, f"This page failed; the log of {console.name} has the error.")

    return guard


def _loopback(host: str) -> bool:
    """Whether only this machine reaches who listens on `host`."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False  # a name: who reaches it is not known


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    if error.status == 404 and (not error.text or error.text.startswith("404")):
        return f"There is nothing at {request.path}."
    return error.text or error.reason


def _answer(console: Console, status: int, sentence: str, for_programs: bool) -> web.Response:
    if for_programs:
        return web.json_response({"error": sentence}, status=status)
    return console.error(status, sentence)
