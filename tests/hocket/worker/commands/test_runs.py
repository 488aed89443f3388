"""Commands over real HTTP, on SQLite and on PostgreSQL: the same key, the same answer."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from io import BytesIO

import aiohttp
import pytest
from aiohttp import web

from hocket import Outside
from hocket.envelope.token import decode_token
from hocket.errors import BreakerOpen
from hocket.setting_groups import HTTP_BODY_BYTES
from hocket.worker.commands.answers import MAX_BODY_BYTES
from tests.hocket.worker.commands.till import Gate, Reply, Sold, World, answers, running

BODY = {"what": "tea", "price": 1}


def problem(reply: Reply, status: int) -> str:
    """The kind of a refusal, which is what RFC 9457 asks for."""
    found = json.loads(reply.body)
    assert (reply.status, found["status"]) == (status, status), reply
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert found["title"]
    assert found["detail"]
    return str(found["type"]).removeprefix("urn:hocket:problem:")


async def test_the_same_key_gets_the_same_answer(address: str) -> None:
    """RULES 13.2, 13.3: status, headers and body, with quotes and without, and nothing is done twice."""
    world = World()
    async with running(address, world) as [one]:
        first = await one.ask(BODY, "k-1")
        again = [await one.ask({"price": 1, "what": "tea"}, '"k-1"')]
        again.append(await one.ask(data=json.dumps(BODY).encode(), key="k-1"))
        assert (first.status, first.replayed, first.headers["Set-Cookie"]) == (201, False, "a=b")
        for each in again:
            assert (each.status, each.body, each.replayed) == (201, first.body, True)
            assert each.headers["Location"] == "/sales/tea"
            assert each.headers["Hocket-Token"] == first.headers["Hocket-Token"]
            assert each.headers["Content-Type"] == first.headers["Content-Type"]
            assert "Set-Cookie" not in each.headers
        assert (await one.ask(BODY, "k-2")).body != first.body
        assert await one.sold() == ["tea", "tea"]
    assert len(world.keys) == 2


async def test_of_many_at_once_one_runs(address: str) -> None:
    """RULES 13.2: the others wait a moment for its answer."""
    world = World()
    async with running(address, world) as [one]:
        replies = await asyncio.gather(*(one.ask(BODY, "k") for _ in range(12)))
        assert {(each.status, each.body) for each in replies} == {(201, replies[0].body)}
        assert sum(not each.replayed for each in replies) == 1
        assert await one.sold() == ["tea"]
    assert len(world.keys) == 1


async def test_a_key_belongs_to_one_caller_and_one_route(address: str) -> None:
    """RULES 13.1: by `Authorization`, method and path; another caller's answer is never read."""
    world = World()
    async with running(address, world) as [one]:
        for more in (
            {},
            {"headers": {"Authorization": "Bearer ada"}},
            {"headers": {"Authorization": "Bearer bob"}},
            {"method": "PUT"},
            {"path": "/sales/1/returns"},
            {"path": "/sales/2/returns"},
            {"path": "/loose", "headers": {"X-Caller": "ada"}},
            {"path": "/loose", "headers": {"X-Caller": "bob"}},
        ):
            assert not (await one.ask(BODY, "k", **more)).replayed, more
            assert (await one.ask(BODY, "k", **more)).replayed, more
        assert len(await one.sold()) == len(set(world.keys)) == 8


async def test_a_key_is_refused_for_another_request(address: str) -> None:
    """RULES 13.2: 422, also while the first is at work; the first is not harmed."""
    gate = Gate()
    async with running(address, World(gate)) as [one]:
        first = asyncio.create_task(one.ask(BODY, "k"))
        await gate.arrived.wait()
        assert problem(await one.ask({"what": "milk"}, "k"), 422) == "idempotency-key-reused"
        gate.open.set()
        assert (await first).status == 201
        assert problem(await one.ask({"what": "milk"}, "k"), 422) == "idempotency-key-reused"
        assert problem(await one.ask(BODY, "k", params={"a": "1"}), 422) == "idempotency-key-reused"
        assert await one.sold() == ["tea"]


async def test_while_the_first_is_at_work_the_second_is_told_so(address: str) -> None:
    """RULES 13.2: 409 with `Retry-After`, which gets the answer later."""
    gate = Gate()
    async with running(address, World(gate)) as [one]:
        first = asyncio.create_task(one.ask(BODY, "k"))
        await gate.arrived.wait()
        second = await one.ask(BODY, "k")
        assert problem(second, 409) == "command-in-progress"
        assert int(second.headers["Retry-After"]) >= 1
        gate.open.set()
        assert (await one.ask(BODY, "k")).body == (await first).body
    assert gate.runs == 1


async def test_a_missing_or_malformed_key_is_refused(address: str) -> None:
    """RULES 13.1: 400; where none is required each request is a thing of its own."""
    async with running(address, World()) as [one]:
        assert problem(await one.ask(BODY), 400) == "idempotency-key-missing"
        assert problem(await one.ask(BODY, "a b"), 400) == "idempotency-key-malformed"
        assert problem(await one.ask(BODY, "k" * 256, path="/loose"), 400) == "idempotency-key-malformed"
        assert {(await one.ask(BODY, path="/loose")).status for _ in range(2)} == {201}
        assert await one.sold() == ["tea", "tea"]
        assert await one.keys() == []


async def test_a_method_that_changes_nothing_is_no_command(address: str) -> None:
    """RULES 13.1: 405 with those under which it can be mounted."""
    async with running(address, World()) as [one]:
        refused = await one.ask(key="k", method="GET")
        assert problem(refused, 405) == "method-changes-nothing"
        assert refused.headers["Allow"] == "POST, PUT, PATCH, DELETE"
        assert {(await one.ask(BODY, "k", method=each)).status for each in ("PUT", "PATCH", "DELETE")} == {201}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (lambda: web.HTTPConflict(text="no"), 409),
        (lambda: web.HTTPFound("/elsewhere"), 302),
        (lambda: ValueError("bug"), 500),
        (lambda: BreakerOpen("cards", timedelta(seconds=7)), 503),
        (TimeoutError, 500),
    ],
    ids=["conflict", "found", "bug", "breaker", "timeout"],
)
async def test_what_the_handler_raises_stores_nothing(
    address: str, error: Callable[[], Exception], status: int
) -> None:
    """RULES 13.4: it is rolled back, and the key is free at once, for another request too.

    The error is made in each test: a response of aiohttp can be sent once only.
    """

    async def fail(request: web.Request, tx: Outside[World]) -> web.StreamResponse:
        await answers(request, tx)
        raise error()

    world = World(fail)
    async with running(address, world) as [one]:
        refused = await one.ask(BODY, "k", allow_redirects=False)
        assert refused.status == status
        assert (await one.sold(), await one.keys()) == ([], [])
        world.act = answers
        assert (await one.ask({"what": "milk"}, "k")).status == 201
        assert await one.sold() == ["milk"]
    assert len(set(world.keys)) == 1


async def test_what_the_handler_returns_is_stored_whatever_its_status(address: str) -> None:
    """RULES 13.4: also a refusal of its own, an empty answer, and one without a type."""
    world = World()
    async with running(address, world) as [one]:
        for n, response in enumerate(
            (
                lambda: web.json_response({"error": "sold out"}, status=409),
                lambda: web.Response(status=204),
                lambda: web.Response(body=b"\x00\xff" * 10),
                lambda: web.Response(text="ä" * (MAX_BODY_BYTES // 2)),
                lambda: web.HTTPGone(text="gone"),
            )
        ):

            async def act(
                request: web.Request, tx: Outside[World], given: Callable[[], web.Response] = response
            ) -> web.StreamResponse:
                return given()

            world.act = act
            first, again = [await one.ask(BODY, f"k-{n}") for _ in range(2)]
            assert (again.status, again.body, again.replayed) == (first.status, first.body, True)
            assert again.headers.get("Content-Type") == first.headers.get("Content-Type")
    assert len(world.keys) == 5


async def test_what_cannot_be_stored_is_refused_and_rolled_back(address: str) -> None:
    """RULES 13.3: a stream, a file, more than 64 KiB, too many headers: 500, and nothing is done."""
    world = World()
    async with running(address, world) as [one]:

        async def stream(request: web.Request) -> web.StreamResponse:
            made = web.StreamResponse()
            await made.prepare(request)
            return made

        async def file(request: web.Request) -> web.StreamResponse:
            return web.FileResponse(__file__)

        async def chunks(request: web.Request) -> web.StreamResponse:
            async def parts() -> AsyncIterator[bytes]:
                yield b"a"

            return web.Response(body=parts())

        async def large(request: web.Request) -> web.StreamResponse:
            return web.Response(body=b"a" * (MAX_BODY_BYTES + 1))

        async def headers(request: web.Request) -> web.StreamResponse:
            return web.Response(headers={f"X-{n}": "a" * 1000 for n in range(9)})

        for n, respond in enumerate((file, chunks, large, headers, stream)):

            async def act(request: web.Request, tx: Outside[World], respond=respond) -> web.StreamResponse:  # type: ignore[no-untyped-def]
                await answers(request, tx)
                made: web.StreamResponse = await respond(request)
                return made

            world.act = act
            if respond is stream:  # its head was sent already: all that is left is to break it off
                with pytest.raises(aiohttp.ClientError):
                    await one.ask(BODY, f"k-{n}")
            else:
                assert problem(await one.ask(BODY, f"k-{n}"), 500) == "answer-not-storable"
            assert (await one.sold(), await one.keys()) == ([], [])


@pytest.mark.parametrize("value", ["/a\r\nX: y", "a\0b", "\udcff"])
async def test_a_header_that_cannot_be_sent_is_not_stored(address: str, value: str) -> None:
    """RULES 13.3: else it would be done, and each repetition would end as the first: with a connection that breaks."""
    world = World()
    async with running(address, world) as [one]:

        async def act(request: web.Request, tx: Outside[World]) -> web.StreamResponse:
            await answers(request, tx)
            return web.Response(headers={"Location": value})

        world.act = act
        assert problem(await one.ask(BODY, "k"), 500) == "answer-not-storable"
        assert (await one.sold(), await one.keys()) == ([], [])
        world.act = answers
        assert (await one.ask(BODY, "k")).status == 201


async def test_the_handler_reads_every_kind_of_body(address: str) -> None:
    """RULES 13.2: a multipart body too, though it was read for its fingerprint; repeated with another boundary."""

    async def upload(request: web.Request, tx: Outside[World]) -> web.StreamResponse:
        if request.content_type.startswith("multipart/"):
            form = await request.post()
            field = form["file"]
            assert isinstance(field, web.FileField)
            return web.Response(body=field.file.read())
        streamed, whole = await request.content.read(), await request.read()
        return web.Response(body=b"as long" if len(streamed) == len(whole) > 1000 else streamed + b"/" + whole)

    world = World(upload)
    async with running(address, world) as [one]:
        replies = []
        for _ in range(2):
            form = aiohttp.FormData()
            form.add_field("file", b"content" * 1000, filename="a.txt")
            replies.append(await one.ask(key="k", data=form))
        assert [(each.body, each.replayed) for each in replies] == [
            (b"content" * 1000, False),
            (b"content" * 1000, True),
        ]
        assert (await one.ask(key="k2", data=b"raw")).body == b"raw/raw"
        large = b"x" * 300_000
        assert (await one.ask(key="k3", data=large)).body == b"as long"
        assert (await one.ask(key="k4", data=BytesIO(b"x" * (HTTP_BODY_BYTES + 1)))).status == 413
    assert len(world.keys) == 3


async def test_a_full_outbox_refuses_before_the_claim(address: str) -> None:
    """RULES 13.4: 503 with `Retry-After`, no row; what was answered before is answered still."""
    world = World()
    async with running(address, world) as [one]:
        first = await one.ask(BODY, "k")
        one.part.worker.outside_transactions.full = lambda: True
        refused = await one.ask(BODY, "new")
        assert problem(refused, 503) == "not-now"
        assert int(refused.headers["Retry-After"]) >= 1
        assert (await one.ask(BODY, "k")).body == first.body
        assert problem(await one.ask({"what": "milk"}, "k"), 503) == "not-now"
        assert len(await one.keys()) == 1


async def test_commands_are_counted(address: str) -> None:
    """docs/wire.md#metrics: by route and end."""
    async with running(address, World()) as [one]:
        await one.ask(BODY, "k")
        await one.ask(BODY, "k")
        await one.ask({"what": "milk"}, "k")
        await one.ask(BODY, "j", path="/sales/7/returns")
        async with one.http.get("/metrics") as answer:
            text = await answer.text()
    for route, end in (
        ("POST /sales", "first"),
        ("POST /sales", "replayed"),
        ("POST /sales", "conflict"),
        ("POST /sales/{number}/returns", "first"),
    ):
        assert f'hocket_commands_total{{end="{end}",route="{route}",service="till"}} 1.0' in text


async def test_the_events_of_a_command_are_those_of_its_token(address: str) -> None:
    """RULES 13.3: said with the answer, once."""
    async with running(address, World()) as [one]:
        first = await one.ask(BODY, "k")
        await one.ask(BODY, "k")
        [said] = await one.said()
        facts = decode_token(first.headers["Hocket-Token"])
        assert [(each.type, each.key) for each in facts] == [(Sold.__hocket_type__, said.idempotency_key)]
        assert said.correlation_id == json.loads(first.body)["flow"]
