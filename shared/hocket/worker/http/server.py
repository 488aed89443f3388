"""The HTTP side of a service, on one port: health, metrics, what the service mounts, `Retry-After` where it is busy."""

import errno
import json
import math
import time
import traceback
from collections.abc import Callable, Sequence

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import ValidationError

from hocket.errors import (
    RETRY_AFTER_SECONDS,
    BadToken,
    BreakerOpen,
    ConfigError,
    NotYetRead,
    OutboxFull,
    StoreError,
    TransportError,
    Undecodable,
)
from hocket.event_data.invalid_fields import invalid_fields
from hocket.masking.mask import ALWAYS
from hocket.resilience.own_frames import from_own
from hocket.setting_groups import HTTP_BODY_BYTES, HTTP_CONNECTIONS, LISTENS_ON
from hocket.worker.http.guard import hosts_of, refusal
from hocket.worker.http.limits import IDLE_SECONDS, LimitedSite, RateOfLines, drop_late_body, most_connections

#: Seconds that requests in progress have to end when the service stops.
STOP_SECONDS = 5.0
#: Seconds after which a reader may ask again that came before what its token said.
NOT_YET_SECONDS = 1
#: Invalid fields that one response names.
MAX_FIELDS = 50
#: Characters of a field's name in a response.
MAX_FIELD_NAME = 100
#: Frames of a stack in the log.
MAX_FRAMES = 20

_METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"

Mount = Callable[[web.Application], None]


class HttpServer:
    """Serves one service. `start` inside `hocket.runtime.here`: handlers inherit the context it is called in.

    `health` returns why the service is not ready (nothing: it is ready), `live` whether it is alive, `metrics` the text
    for Prometheus. Larger bodies than `body_bytes` are answered 413, more connections than `connections` 503, other
    hosts than loopback and `allowed_hosts` 421. Port 0 takes a free port; `port` returns it.
    """

    def __init__(
        self,
        service: str,
        host: str,
        port: int,
        mounts: Sequence[Mount],
        health: Callable[[], list[str]],
        live: Callable[[], bool],
        metrics: Callable[[], bytes],
        body_bytes: int = HTTP_BODY_BYTES,
        connections: int = HTTP_CONNECTIONS,
        allowed_hosts: str = "",
    ) -> None:
        self._service = service
        self._host = host
        self._port = port
        self._mounts = tuple(mounts)
        self._health = health
        self._live = live
        self._metrics = metrics
        self._body_bytes = body_bytes
        self._connections = connections
        self._hosts = hosts_of(allowed_hosts, host)
        self._lines = RateOfLines(time.monotonic)
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._port

    async def start(self) -> None:
        """Listen. `ConfigError` where the port is taken or not allowed, or a route cannot be mounted."""
        app = web.Application(client_max_size=self._body_bytes, middlewares=[self._respond()])
        app.router.add_get("/health/live", self._respond_live)
        app.router.add_get("/health/ready", self._respond_ready)
        app.router.add_get("/metrics", self._respond_metrics)
        listens_on = LISTENS_ON.set(self._host)
        try:
            for mount in self._mounts:
                mount(app)
        except RuntimeError as wrong:
            raise ConfigError(f"service {self._service}: an HTTP route cannot be mounted: {wrong}") from wrong
        finally:
            LISTENS_ON.reset(listens_on)
        runner = web.AppRunner(
            app, access_log=None, handler_cancellation=False, shutdown_timeout=STOP_SECONDS,
            keepalive_timeout=IDLE_SECONDS, auto_decompress=False,
        )  # fmt: skip
        await runner.setup()
        try:
            most = most_connections(self._connections)
            await LimitedSite(runner, self._host, self._port, most, self._refused).start()
        except OSError as wrong:
            await runner.cleanup()
            raise ConfigError(self._cannot_listen(wrong)) from wrong
        self._runner = runner
        self._port = runner.addresses[0][1]

    async def stop(self) -> None:
        """Accept no more requests, give those in progress `STOP_SECONDS` to end, close."""
        if self._runner is not None:
            runner, self._runner = self._runner, None
            await runner.cleanup()

    def _cannot_listen(self, wrong: OSError) -> str:
        where = f"service {self._service} cannot listen on {self._host}:{self._port}"
        way_out = "set another port by HOCKET_HTTP_PORT, or by `hocket run MODULE:PORT`"
        if wrong.errno == errno.EADDRINUSE:
            return f"{where}: the port is taken by another program; stop that, or {way_out}"
        if wrong.errno == errno.EACCES:
            return f"{where}: this user may not use the port; {way_out}"
        return f"{where}: {wrong.strerror or wrong}; correct HOCKET_HTTP_HOST, or {way_out}"

    def _refused(self) -> None:
        self._log("connections refused: there are as many as HOCKET_HTTP_CONNECTIONS or the descriptors allow")

    def _log(self, what: str, **about: object) -> None:
        """One warning line about each path or cause in a while."""
        left_out = self._lines.admits(" ".join(map(str, (what, about.get("cause", "")))))
        if left_out is not None:
            count = {"left_out": left_out} if left_out else {}
            structlog.get_logger("hocket").warning(what, service=self._service, **about, **count)

    def _respond(self) -> Middleware:
        """The middleware that refuses what is not answered, and turns errors into responses with a sentence."""

        @web.middleware
        async def respond(request: web.Request, handler: Handler) -> web.StreamResponse:
            if (refused := refusal(request, self._hosts)) is not None:
                return _json({"error": refused[1]}, refused[0])
            late = drop_late_body(request) if request.can_read_body else None
            try:
                return await handler(request)
            except web.HTTPException:
                raise
            except Exception as error:  # noqa: BLE001 - whatever a mounted handler raises becomes a response
                return self._answer_to(error, request)
            finally:
                if late is not None:
                    late.cancel()

        return respond

    def _answer_to(self, error: Exception, request: web.Request) -> web.Response:
        match error:
            case OutboxFull():
                return _later("too many events wait for the broker; try again later")
            case BadToken():
                return _json({"error": str(error)}, 400)
            case NotYetRead():
                return _later(str(error), NOT_YET_SECONDS)
            case StoreError():
                self._log("the database did not answer a request", path=_route(request), reason=ALWAYS.hide(str(error)))
                return _later("the database does not answer now; try again later")
            case TransportError():
                return _later("the broker does not answer now; try again later")
            case BreakerOpen():
                sentence = f"{error.breaker} is not asked now; try again later"
                return _later(sentence, max(math.ceil(error.wait.total_seconds()), 1))
            case ValidationError():
                return _invalid(_fields(error))
            case Undecodable():
                return _invalid([{"field": error.field, "cause": error.cause}])
            case json.JSONDecodeError():
                return _json({"error": f"the body is not JSON: {error.msg} at {error.pos}"}, 400)
            case UnicodeDecodeError():
                return _json({"error": "the body is not UTF-8"}, 400)
            case ConnectionError() if request.transport is None:
                return _json({"error": "the connection ended within the request"}, 400)  # nobody reads it
        return self._failed(error, request)

    def _failed(self, error: Exception, request: web.Request) -> web.Response:
        cause = type(error).__qualname__
        left_out = self._lines.admits(f"{request.method} {request.match_info.handler} {cause}")
        if left_out is not None:
            frames = traceback.format_tb(from_own(error))[-MAX_FRAMES:]
            structlog.get_logger("hocket").error(
                "request failed", service=self._service, method=request.method, path=_route(request), cause=cause,
                stack="".join(frames), **({"left_out": left_out} if left_out else {}),
            )  # fmt: skip
        return _json({"error": f"the service failed on this request ({cause}); see its log"}, 500)

    async def _respond_live(self, _: web.Request) -> web.Response:
        live = self._live()
        return _json({"live": live}, 200 if live else 503)

    async def _respond_ready(self, _: web.Request) -> web.Response:
        reasons = [ALWAYS.hide(each) for each in self._health()]
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def _respond_metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=self._metrics(), headers={"Content-Type": _METRICS_TYPE})


def _route(request: web.Request) -> str:
    """The route as it was mounted, `/subjects/{subject}`: what a caller wrote into the address may be sensitive."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "no route"


def _fields(error: ValidationError) -> list[dict[str, str]]:
    """What is wrong with which field, never the field's value."""
    return [
        {"field": each.field[:MAX_FIELD_NAME], "cause": "is not valid" if each.own_text else each.text}
        for each in invalid_fields(error)[:MAX_FIELDS]
    ]


def _json(value: object, status: int) -> web.Response:
    return web.json_response(value, status=status, headers={"Cache-Control": "no-store"})


def _invalid(fields: list[dict[str, str]]) -> web.Response:
    return _json({"error": "the data is invalid", "fields": fields}, 422)


def _later(sentence: str, seconds: int = RETRY_AFTER_SECONDS) -> web.Response:
    response = _json({"error": sentence}, 503)
    response.headers["Retry-After"] = str(seconds)
    return response
