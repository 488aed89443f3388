"""Every route of every service under odd requests: always an answer below 500, and the service answers afterwards."""

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from hocket import Service
from services.deadletters import deadletters
from services.ingress import ingress
from services.order_view import order_view
from services.orders import orders
from services.sandbox import sandbox
from services.scoring import scoring
from services.shipping import shipping
from services.tracer import tracer
from tests.services.running_service import serving

FACING: tuple[Service[Any], ...] = (orders, order_view, shipping, scoring, ingress, sandbox, deadletters, tracer)
#: Odd values, as they stand in an address: not UTF-8, a NUL, control characters, long, numbers beyond every bound.
ODD = (
    "%ff", "%c3%28", "%00", "a%0d%0ab", "%", "%zz", "..%2f..", "%2e%2e", "%ed%a0%80", quote("\u202ex"), "x" * 3000,
    "9" * 4_400, "-1", "0", "1e400", "nan", "0x10", str(2**63), "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00%2b23:59", "10000-01-01", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00+99:99",
    "~", "nan~x", "inf~", "1~" + "%ff", "", "null",
)  # fmt: skip
#: Names of parts that any address may have, whether a route reads them or not.
PARTS = (
    "at", "after", "before", "limit", "state", "q", "type", "service", "cause", "subscription", "group", "earlier",
    "cursor", "customer", "from", "to",
    "%ff",
)  # fmt: skip
BODIES = (
    b"", b"{", b"[]", b"null", b"\xff\xfe", b'{"a":' * 2000, b'{"reason": "\\ud800"}', b'{"reason": "\\u0000"}',
    b'{"quantity": ' + b"9" * 5000 + b"}", b"1e999", b"NaN", b'"' + b"x" * 70_000 + b'"', b"\x1f\x8b\x08\x00junk",
)  # fmt: skip
HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"Idempotency-Key", b"\xff\xfe"), (b"X-Delivery-Id", b"\xc3("), (b"X-Forwarded-User", b"\xff"),
    (b"Accept-Language", b"\xff"), (b"If-Modified-Since", b"x"), (b"Range", b"bytes=9-1"),
    (b"Content-Encoding", b"gzip"), (b"Content-Type", b"text/plain; charset=nothing"), (b"X-Hocket-Act", b"1"),
    (b"Idempotency-Key", b"k" * 4000), (b"Content-Type", b"multipart/form-data"), (b"Cookie", b"a=\xff"),
)  # fmt: skip
#: Requests to each service.
REQUESTS = 400


def routes(service: Service[Any]) -> list[tuple[str, str]]:
    """Method and path of every route that the service mounts, and of the kit's own."""
    app = web.Application()
    for mount in service.mounts:
        mount(app)
    pushes = [("POST", f"/webhooks/{name}") for name in service.webhooks]
    found = [(each.method, each.resource.canonical) for each in app.router.routes() if each.resource is not None]
    return sorted(
        {*found, *pushes, ("GET", "/health/ready"), ("GET", "/health/live"), ("GET", "/metrics"), ("GET", "/nothing")}
    )


def request_of(method: str, path: str, chance: random.Random) -> bytes:
    """One odd request as bytes: no client library would send it."""
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + (chance.choice(ODD) or "x") + rest.partition("}")[2]
    parts = [f"{chance.choice(PARTS)}={chance.choice(ODD)}" for _ in range(chance.randrange(4))]
    target = path + ("?" + "&".join(parts) if parts else "")
    body = chance.choice(BODIES) if method not in {"GET", "HEAD"} else b""
    lines = [b"%s %s HTTP/1.1" % (method.encode(), target.encode()), b"Host: localhost", b"Connection: close"]
    chosen = chance.sample(HEADERS, chance.randrange(4))
    if method not in {"GET", "HEAD"} and chance.random() < 0.7:  # else the desk refuses it before it reads anything
        chosen.append((b"X-Hocket-Act", b"1"))
    lines += [b"%s: %s" % each for each in dict(chosen).items()]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


async def status_of(port: int, request: bytes) -> tuple[int, bytes]:
    """The status and the whole answer."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        answer = await reader.read()
        writer.close()
    return int(answer.split(b" ", 2)[1]), answer


@pytest.fixture(params=FACING, ids=lambda each: each.name)
async def facing(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Service[Any], int]]:
    """Each service that faces HTTP, and its port."""
    async with serving(request.param, tmp_path) as http:
        yield request.param, await port_of(http)


async def port_of(http: aiohttp.ClientSession) -> int:
    """The port of the session's service."""
    async with http.get("/health/live") as answer:
        port = answer.url.port
    assert port is not None
    return port


async def test_no_request_makes_a_service_fail(facing: tuple[Service[Any], int]) -> None:
    """400 to 4xx where something is wrong, 503 where it is to come later; never another 5xx, never silence."""
    service, port = facing
    chance = random.Random(service.name)
    every = routes(service)
    for number in range(REQUESTS):
        method, path = every[number % len(every)]
        request = request_of(method, path, chance)
        status, answer = await status_of(port, request)
        assert status < 500 or status == 503, (request[:600], answer[:600])
        assert len(answer) < 2_000_000
    status, _ = await status_of(port, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status == 200


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("/api/flows?at=9999-12-31T23:59:59-23:59", b"at="),
        ("/api/flows?limit=" + "9" * 4_400, b"limit="),
        ("/api/flows/x%00y", b"NUL"),
    ],
)
async def test_the_answer_names_what_is_wrong(tmp_path: Path, target: str, says: bytes) -> None:
    """A sentence with the part of the address."""
    async with serving(tracer, tmp_path) as http:
        request = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
        status, answer = await status_of(await port_of(http), request)
    assert status == 400
    assert says in answer


async def test_a_key_that_is_not_text_is_named(tmp_path: Path) -> None:
    """400 with the header's name."""
    async with serving(orders, tmp_path) as http:
        head = b"POST /orders HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n"
        status, answer = await status_of(await port_of(http), head + b"Idempotency-Key: \xff\r\n\r\n")
    assert status == 400
    assert b"header Idempotency-Key is not UTF-8" in answer
