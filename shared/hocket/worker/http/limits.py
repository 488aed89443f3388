"""Bounds of a service's port: how many connections, how long one may be silent, how many lines it may log."""

import asyncio
import resource
from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong

from hocket.errors import RETRY_AFTER_SECONDS

#: Seconds that a connection may stand without a whole request head: at its start, and between two requests.
IDLE_SECONDS = 60.0
#: Seconds within which the body of a request must be here.
BODY_SECONDS = 60.0
#: The share of the process's descriptors that HTTP may hold; the rest is for broker, database and outside calls.
DESCRIPTOR_SHARE = 0.5
#: Seconds between two lines about the same thing; what comes in between is counted.
LINE_SECONDS = 10.0

_TEXT = "too many connections: come later\n"
_REFUSED = (
    f"HTTP/1.1 503 Service Unavailable\r\nRetry-After: {RETRY_AFTER_SECONDS}\r\nContent-Type: text/plain\r\n"
    f"Content-Length: {len(_TEXT)}\r\nConnection: close\r\n\r\n{_TEXT}"
).encode()


def most_connections(setting: int) -> int:
    """How many connections a port takes: the setting, at most a share of the descriptors that the process may open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return setting
    return max(min(setting, int(soft * DESCRIPTOR_SHARE)), 1)


class RateOfLines:
    """Lets one line about each subject through in `LINE_SECONDS`, with the number that were left out before it."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._last: dict[str, tuple[float, int]] = {}

    def admits(self, subject: str) -> int | None:
        """How many lines were left out since the last one; None: leave this one out too."""
        now = self._now()
        at, left_out = self._last.get(subject, (float("-inf"), 0))
        if now - at < LINE_SECONDS:
            self._last[subject] = (at, left_out + 1)
            return None
        self._last[subject] = (now, 0)
        return left_out


class _Refused(asyncio.Protocol):
    """A connection above the bound: answered 503 before anything is read, and closed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.write(_REFUSED)
        transport.close()


class _Protocol(web.RequestHandler):
    """A connection that answers 431 where a header is too long for the parser, in place of 400."""

    __slots__ = ()

    def handle_error(
        self, request: web.BaseRequest, status: int = 500, exc: BaseException | None = None, message: str | None = None
    ) -> web.StreamResponse:
        """The answer to what could not be parsed; the connection is closed."""
        return super().handle_error(request, 431 if isinstance(exc, LineTooLong) else status, exc, message)


class LimitedSite(web.TCPSite):
    """A site with a bound of connections; `refused` is called for each one above it."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, most: int, refused: Callable[[], None]) -> None:
        super().__init__(runner, host, port)
        self._limits = (runner, host, port, most, refused)

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        runner, host, port, most, refused = self._limits
        server = runner.server
        assert server is not None

        loop = asyncio.get_running_loop()

        def connect() -> asyncio.Protocol:
            if len(server.connections) >= most:
                refused()
                return _Refused()
            return _Protocol(server, loop=loop, **server._kwargs)  # noqa: SLF001 -- as `server()` makes its own

        self._server: Any = await loop.create_server(connect, host, port, backlog=most)


def drop_late_body(request: web.Request) -> asyncio.TimerHandle:
    """Abort the connection unless the body of this request is here in time; cancel it when the request has ended."""

    def drop() -> None:
        if not request.content.is_eof() and request.transport is not None:
            request.transport.abort()

    return asyncio.get_running_loop().call_later(BODY_SECONDS, drop)
