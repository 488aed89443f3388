"""The search of the consoles: by a clear value, without writing it into an address."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from hocket.console import mount_finding
from hocket.pseudonym import Pseudonyms

KEYS = "the newest key of all, the key of last year"
EMAIL = "ada@example.com"


async def asked(text: str, *there: str, keys: str = KEYS) -> str:
    """Where the search for `text` leads, when these subjects are there."""

    async def find(wanted: str) -> str:
        return f"/list?q={wanted}" if any(wanted in each for each in there) else ""

    app = web.Application()
    mount_finding(app, find, "/list?q=", Pseudonyms.of(keys).every)
    async with TestClient(TestServer(app)) as client:
        answer = await client.post("/find", data={"q": text}, allow_redirects=False)
        assert answer.status == 303
        return answer.headers["Location"]


@pytest.mark.parametrize("text", [EMAIL, f"lead/{EMAIL}"])
async def test_a_clear_value_never_stands_in_an_address(text: str) -> None:
    """RULES 18.2: it is found under every key; also what is not found stands there as its pseudonym."""
    new, old = Pseudonyms.of(KEYS).every(EMAIL)
    for pseudonym in (new, old):
        assert pseudonym in await asked(text, f"lead/{pseudonym}", "order/1")
    assert EMAIL not in await asked(text, "order/1")
    assert "~" in await asked(text)


async def test_what_is_there_as_it_is_typed_is_found() -> None:
    """An order's number, or anything while there is no key."""
    assert await asked("order/1", "order/1") == "/list?q=order/1"
    assert await asked("order/2", keys="") == "/list?q=order%2F2"
