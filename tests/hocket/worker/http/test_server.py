"""The HTTP side of a service."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from datetime import timedelta
from io import BytesIO, StringIO
from types import MappingProxyType
from typing import Any

import pytest
import structlog
from aiohttp import ClientSession, web
from pydantic import BaseModel, field_validator
from yarl import URL

from hocket.declarations.requests.command import Command
from hocket.errors import BreakerOpen, ConfigError, OutboxFull, StoreError, TransportError, Undecodable
from hocket.pseudonym import Pseudonyms
from hocket.runtime import current, here
from hocket.worker.http.server import HttpServer


class Order(BaseModel):
    """What the mounted handler reads."""

    order_id: str
    amount: int
    card: str = ""

    @field_validator("card")
    @classmethod
    def _check(cls, card: str) -> str:
        if card:
            raise ValueError(f"no such card: {card}")
        return card


#: The bound of a request's body in these tests.
BODY_BYTES = 65_536


class Shop:
    """A service that runs, as far as HTTP sees it."""

    boot, pseudonyms = "boot", Pseudonyms()
    reading: Any = None  # it has no projection

    def __init__(self) -> None:
        self.reasons: list[str] = []
        self.alive = True
        self.error: Exception | None = None
        self.web = HttpServer(
            "shop",
            "127.0.0.1",
            0,
            [self.mount],
            lambda: self.reasons,
            lambda: self.alive,
            lambda: b"hocket_x 1\n",
            body_bytes=BODY_BYTES,
        )
        self.began = asyncio.Event()
        self.open = asyncio.Event()
        self.ended = asyncio.Event()

    def outside(
        self, key: str | None, correlation_id: str | None, connection: object = None
    ) -> AbstractAsyncContextManager[Any]:
        """A transaction outside a handler."""
        return nullcontext(f"{key} {correlation_id}")

    async def command(self, command: Command, request: web.Request) -> web.StreamResponse:
        """No command is asked for here."""
        raise NotImplementedError

    async def send(
        self, subscription: str, body: bytes, content_type: str, *,
        attempt: int, replay: str = "", death: str = "", headers: Mapping[str, object] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        """Of no use here."""

    def mount(self, app: web.Application) -> None:
        """The routes of the service itself."""
        app.router.add_post("/orders", self.order)
        app.router.add_get("/fail", self.fail)
        app.router.add_get("/tx", self.tx)
        app.router.add_post("/slow", self.slow)

    async def order(self, request: web.Request) -> web.Response:
        """Take an order."""
        order = Order.model_validate(await request.json())
        return web.json_response({"order_id": order.order_id})

    async def fail(self, _: web.Request) -> web.Response:
        """Raise what the test wants."""
        assert self.error
        raise self.error

    async def tx(self, _: web.Request) -> web.Response:
        """Use the running service."""
        async with current("shop").outside("a", "b") as tx:
            return web.Response(text=str(tx))

    async def slow(self, _: web.Request) -> web.Response:
        """Commit something, however long it takes."""
        self.began.set()
        await self.open.wait()
        self.ended.set()
        return web.Response()

    async def get(self, path: str) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON and headers of a GET."""
        async with ClientSession() as session, session.get(f"http://127.0.0.1:{self.web.port}{path}") as answer:
            return answer.status, json.loads(await answer.read()), dict(answer.headers)

    async def post(self, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON of a POST."""
        async with ClientSession() as session:
            url = f"http://127.0.0.1:{self.web.port}{path}"
            async with session.post(url, data=BytesIO(body), headers={"Content-Type": "application/json"}) as answer:
                text = await answer.read()
                return answer.status, json.loads(text) if text.startswith(b"{") else text


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    """A shop that serves."""
    shop = Shop()
    with here({"shop": shop}):
        await shop.web.start()
    yield shop
    await shop.web.stop()


@pytest.fixture
def log() -> Iterator[StringIO]:
    """What is logged."""
    stream = StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.WriteLoggerFactory(stream)
    )
    yield stream
    structlog.reset_defaults()


async def test_a_breaker_that_refuses_is_answered_with_its_wait() -> None:
    """RULES 6.7: 503, and when to come again."""
    shop = Shop()
    await shop.web.start()
    shop.error = BreakerOpen("card-api", timedelta(seconds=12.5))
    try:
        async with ClientSession() as http, http.get(f"http://127.0.0.1:{shop.web.port}/fail") as answer:
            assert (answer.status, answer.headers["Retry-After"]) == (503, "13")
            assert (await answer.json())["error"] == "card-api is not asked now; try again later"
    finally:
        await shop.web.stop()


async def test_health(shop: Shop) -> None:
    """Ready with no reason against it, else 503 with the sentences; live while the process works."""
    status, answer, headers = await shop.get("/health/ready")
    assert (status, answer, headers["Cache-Control"]) == (200, {"ready": True, "reasons": []}, "no-store")
    shop.reasons = ["the broker has not answered for 12 s"]
    assert (await shop.get("/health/ready"))[:2] == (503, {"ready": False, "reasons": shop.reasons})
    assert (await shop.get("/health/live"))[:2] == (200, {"live": True})
    shop.alive = False
    assert (await shop.get("/health/live"))[:2] == (503, {"live": False})


async def test_metrics(shop: Shop) -> None:
    """Prometheus' text, under the content type it asks for."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{shop.web.port}/metrics") as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert await answer.text() == "hocket_x 1\n"


async def test_handlers_find_the_running_service(shop: Shop) -> None:
    """A mounted handler inherits the context in which the web was started."""
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{shop.web.port}/tx") as answer:
        assert await answer.text() == "a b"


async def test_wrong_data_is_named_and_not_echoed(shop: Shop) -> None:
    """422 with field and cause; what was in the field, also by a validator's own words, is not repeated."""
    body = json.dumps({"amount": "secret 1", "card": "4111 secret"}).encode()
    status, answer = await shop.post("/orders", body)
    assert status == 422
    fields = {each["field"]: each["cause"] for each in answer["fields"]}
    assert fields.keys() == {"order_id", "amount", "card"}
    assert fields["order_id"] == "Field required"
    assert fields["card"] == "is not valid"
    assert "secret" not in json.dumps(answer)


async def test_a_body_that_is_no_json_is_400(shop: Shop) -> None:
    """With a sentence; a good one is taken."""
    assert await shop.post("/orders", b'{"order_id": ') == (
        400,
        {"error": "the body is not JSON: Expecting value at 13"},
    )
    assert await shop.post("/orders", b'{"a": "\xff"}') == (400, {"error": "the body is not UTF-8"})
    assert await shop.post("/orders", b'{"order_id": "1", "amount": 2}') == (200, {"order_id": "1"})


async def test_bodies_are_bounded(shop: Shop) -> None:
    """More than `HOCKET_HTTP_BODY_BYTES` is 413."""
    assert (await shop.post("/orders", b"x" * BODY_BYTES))[0] == 400
    assert (await shop.post("/orders", b"x" * (BODY_BYTES + 1)))[0] == 413


@pytest.mark.parametrize(
    ("error", "words"), [(OutboxFull("x"), "too many"), (StoreError("x"), "database"), (TransportError("x"), "broker")]
)
async def test_what_will_pass_is_503(shop: Shop, log: StringIO, error: Exception, words: str) -> None:
    """RULES 4.6: a full outbox and a failing store say when to come again, and nothing of the inside."""
    shop.error = error
    status, answer, headers = await shop.get("/fail")
    assert status == 503
    assert int(headers["Retry-After"]) > 0
    assert words in answer["error"]


async def test_undecodable_events_are_422(shop: Shop) -> None:
    """A body that is no envelope is answered with the field and its cause."""
    shop.error = Undecodable("id", "is missing")
    status, answer, _ = await shop.get("/fail")
    assert (status, answer["fields"]) == (422, [{"field": "id", "cause": "is missing"}])


async def test_an_unexpected_error_is_500_and_logged(shop: Shop, log: StringIO) -> None:
    """The answer names the kind, the log where it happened; neither has the text, which may quote the input."""
    shop.error = LookupError("card 4111")
    status, answer, _ = await shop.get("/fail")
    assert (status, "LookupError" in answer["error"]) == (500, True)
    line = json.loads(log.getvalue())
    assert (line["event"], line["cause"], line["path"]) == ("request failed", "LookupError", "/fail")
    assert "raise self.error" in line["stack"]
    assert "4111" not in log.getvalue() + answer["error"]


async def test_answers_of_handlers_stay_as_they_are(shop: Shop) -> None:
    """A handler's own HTTP errors pass."""
    shop.error = web.HTTPConflict(text="taken")
    async with ClientSession() as session, session.get(f"http://127.0.0.1:{shop.web.port}/fail") as answer:
        assert (answer.status, await answer.text()) == (409, "taken")
        assert (await session.get(f"http://127.0.0.1:{shop.web.port}/nowhere")).status == 404


async def test_a_client_that_goes_does_not_stop_the_work(shop: Shop) -> None:
    """A webhook whose sender hangs up is still committed."""
    _, writer = await asyncio.open_connection("127.0.0.1", shop.web.port)
    writer.write(b"POST /slow HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    async with asyncio.timeout(5):
        await shop.began.wait()
        writer.close()
        await writer.wait_closed()
        await shop.get("/health/live")
        shop.open.set()
        await shop.ended.wait()


async def test_a_taken_port_is_named_with_the_way_out(shop: Shop) -> None:
    """The start ends with a sentence that names the port and both ways to another."""
    other = HttpServer("other", "127.0.0.1", shop.web.port, [], list, lambda: True, bytes)
    with pytest.raises(ConfigError, match=f":{shop.web.port}.*taken.*HOCKET_HTTP_PORT.*MODULE:PORT"):
        await other.start()
    await other.stop()


async def test_an_address_that_is_not_here_is_named() -> None:
    """So does a host that this machine does not have."""
    other = HttpServer("other", "192.0.2.1", 0, [], list, lambda: True, bytes)
    with pytest.raises(ConfigError, match=r"192.0.2.1.*HOCKET_HTTP_HOST"):
        await other.start()


async def test_a_nul_in_an_address_is_refused(shop: Shop) -> None:
    """It names nothing, and not every database takes it: 400 before any handler."""
    for path in ("/slow%00", "/health/live?q=a%00"):
        url = URL(f"http://127.0.0.1:{shop.web.port}{path}", encoded=True)
        async with ClientSession() as http, http.get(url) as answer:
            assert answer.status == 400
            assert "NUL" in (await answer.json())["error"]


async def test_a_mount_that_does_not_fit_is_refused() -> None:
    """Two handlers for one route are a mistake, said at the start."""

    async def answer(_: web.Request) -> web.Response:
        return web.Response()

    def mount(app: web.Application) -> None:
        app.router.add_get("/orders", answer)
        app.router.add_get("/orders", answer)

    with pytest.raises(ConfigError, match=r"other.*mounted"):
        await HttpServer("other", "127.0.0.1", 0, [mount], list, lambda: True, bytes).start()


async def test_stopping_lets_requests_finish(shop: Shop) -> None:
    """What is in progress is answered, then the port is free."""
    posting = asyncio.ensure_future(shop.post("/slow", b""))
    async with asyncio.timeout(5):
        await shop.began.wait()
    stopping = asyncio.ensure_future(shop.web.stop())
    await asyncio.sleep(0)
    shop.open.set()
    assert (await posting)[0] == 200
    await stopping
    again = HttpServer("again", "127.0.0.1", shop.web.port, [], list, lambda: True, bytes)
    await again.start()
    await again.stop()
