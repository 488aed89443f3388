"""The management API's address, and unexpected answers."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from hocket.broker.rabbitmq.admin import management
from hocket.broker.rabbitmq.admin.management import Management
from hocket.errors import ConfigError


def test_it_is_beside_the_first_broker() -> None:
    """The default address; a password that is sent over TLS to the broker is sent over TLS here too."""
    assert Management("amqp://u:p@one:5673,two/vhost").where == "http://one:15672"
    assert Management("amqps://u:p@one/vhost").where == "https://one:15671"
    assert Management("amqp://one", "https://x:y@api.example/rabbit/?q=1#f").where == "https://api.example/rabbit"


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, dict[str, web.Response]]]:
    """An HTTP server that answers as it is told."""
    answer: dict[str, web.Response] = {}

    async def say(_: web.Request) -> web.Response:
        return answer["next"]

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", say)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}", answer
    await runner.cleanup()


@pytest.mark.parametrize(
    ("status", "text", "sentence"),
    [
        (200, "<html>", "answered 200 and no JSON"),
        (200, "{}", "does not answer as a RabbitMQ's management API does"),
        (302, "", "answered 302"),
        (500, '{"reason": "ill"}', r"answered 500 \(ill\)"),
        (404, '{"error": "Object Not Found"}', "virtual host vhost does not exist"),
        (200, "[" + " " * 2000 + "]", "more than 1000 bytes"),
    ],
)
async def test_another_answer_is_one_sentence(
    status: int,
    text: str,
    sentence: str,
    served: tuple[str, dict[str, web.Response]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another server, an error or a too large answer: one sentence with the address and what to set."""
    monkeypatch.setattr(management, "MAX_ANSWER_BYTES", 1000)
    url, answer = served
    answer["next"] = web.Response(status=status, text=text)
    async with Management("amqp://127.0.0.1/vhost", url) as there:
        with pytest.raises(ConfigError, match=f"{sentence}.*HOCKET_MANAGEMENT_URL"):
            await there.found()
