"""Only our own pages, and programs that say so, may act."""

from collections.abc import Mapping

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from hocket.console import foreign


def asked(method: str, headers: Mapping[str, str]) -> web.Request:
    """A request to desk.example:8081."""
    return make_mocked_request(method, "/api/dead/1/replay", headers={"Host": "desk.example:8081", **headers})


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "same-origin", "Origin": "http://desk.example:8081"},
        {"Origin": "http://desk.example:8081"},
        {"Origin": "https://DESK.example:8081"},
        {"X-Hocket-Act": "1"},
    ],
)
def test_our_own_pages_may_act(headers: dict[str, str]) -> None:
    """A page of this origin, or a program that says that it acts, may."""
    assert foreign(asked("POST", headers)) is None


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Hocket-Act": "0"},
        {"Sec-Fetch-Site": "cross-site", "Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "same-site", "Origin": "http://desk.example:8081"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "null"},
        {"Origin": "http://desk.example:9999"},
        {"Origin": "http://evil.example", "X-Hocket-Act": "1"},
        {"Origin": "file://desk.example:8081"},
    ],
)
def test_a_foreign_page_may_not(headers: dict[str, str]) -> None:
    """Whatever a browser says of another origin is refused, with the reason as a sentence."""
    refusal = foreign(asked("POST", headers))
    assert refusal is not None
    assert ": " in refusal


def test_looking_needs_no_origin() -> None:
    """Reading is free: nothing is changed by it."""
    assert foreign(asked("GET", {"Sec-Fetch-Site": "cross-site"})) is None
