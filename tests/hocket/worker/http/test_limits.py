"""The bounds of a port: connections, silence, late bodies, lines (docs/security.md)."""

import asyncio
import contextlib
import gzip
import resource
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from hocket.worker.http import limits
from hocket.worker.http import server as http_server
from hocket.worker.http.limits import LINE_SECONDS, RateOfLines, most_connections
from hocket.worker.http.server import HttpServer

#: Connections that the server of these tests takes.
MOST = 5


async def _echo(request: web.Request) -> web.Response:
    return web.json_response({"bytes": len(await request.read())})


@pytest.fixture
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """A server with short times and few connections."""
    monkeypatch.setattr(http_server, "IDLE_SECONDS", 0.5)
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.5)
    mount = [lambda app: app.router.add_post("/echo", _echo)]
    server = HttpServer("shop", "127.0.0.1", 0, mount, list, lambda: True, lambda: b"", connections=MOST)
    await server.start()
    yield server.port
    await server.stop()


async def asked(port: int, request: bytes) -> bytes:
    """The whole answer; returns when the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    async with asyncio.timeout(10):
        answer = await reader.read()
    writer.close()
    return answer


LIVE = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


async def test_more_connections_are_answered_503_and_closed(port: int) -> None:
    """Silent sockets take no descriptor beyond the bound; as soon as they end, requests are answered."""
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MOST)]
    assert (await asked(port, b"")).startswith(b"HTTP/1.1 503")
    async with asyncio.timeout(10):
        for reader, writer in silent:  # closed by the server: no request head came within the idle time
            assert await reader.read() == b""
            writer.close()
    assert (await asked(port, LIVE)).startswith(b"HTTP/1.1 200")


async def test_half_a_head_does_not_hold_a_connection(port: int) -> None:
    """A head that comes a byte at a time ends with the idle time."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET / HTTP/1.1\r\nHost: loc")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_a_body_that_does_not_come_ends_the_connection(port: int) -> None:
    """The bound is for the whole body."""
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nabc"
    with contextlib.suppress(ConnectionResetError):
        assert not (await asked(port, head)).startswith(b"HTTP/1.1 200")
    assert (await asked(port, LIVE)).startswith(b"HTTP/1.1 200")


async def test_a_bomb_is_not_inflated(port: int) -> None:
    """415 at once, for a body of 100 KB that would be 100 MB."""
    body = gzip.compress(b"0" * 100_000_000, 9)
    head = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Encoding: gzip\r\nConnection: close\r\n"
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await asked(port, head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
    assert answer.startswith(b"HTTP/1.1 415")
    assert loop.time() - began < 5


def test_descriptors_are_kept_for_other_work() -> None:
    """Never more than half of what the process may open."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, hard))
        assert most_connections(1000) == 50
        assert most_connections(20) == 20
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_lines_about_one_thing_are_rationed() -> None:
    """One line in a while, with the number of those left out; other subjects have their own."""
    now = 0.0
    lines = RateOfLines(lambda: now)
    assert lines.admits("a") == 0
    assert [lines.admits("a") for _ in range(47_000)] == [None] * 47_000
    assert lines.admits("b") == 0
    now = LINE_SECONDS
    assert lines.admits("a") == 47_000
