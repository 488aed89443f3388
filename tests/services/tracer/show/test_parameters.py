"""What an address asks for."""

from datetime import UTC, datetime

import pytest
from aiohttp import web

from services.tracer.ask.flows import Found
from services.tracer.show.parameters import filter_asked, moment_asked, next_page


@pytest.mark.parametrize(
    "text", ["2026-11-24T14:05:00Z", "2026-11-24T15:05:00+01:00", "2026-11-24T15:05:00 01:00", "2026-11-24T14:05:00"]
)
def test_a_moment_in_any_zone(text: str) -> None:
    """RFC 3339; without an offset it is UTC, and a plus sign that became a blank is understood."""
    assert moment_asked({"at": text}) == datetime(2026, 11, 24, 14, 5, tzinfo=UTC)


def test_no_moment_is_now() -> None:
    """Without `at` the page is live."""
    assert moment_asked({}) is None


def test_a_place_in_the_list_comes_back_whole() -> None:
    """The address of the next page names the place exactly."""
    later = next_page("/flows", {"state": "done"}, Found([], (1764000000.123456, "id~1")))
    assert later == "/flows?state=done&after=1764000000.123456~id~1"
    found = filter_asked({"after": "1764000000.123456~id~1"})
    assert (found.before, found.before_id) == (1764000000.123456, "id~1")
    assert next_page("/flows", {}, Found([], None)) is None


def test_what_cannot_be_meant_is_a_bad_request() -> None:
    """The sentence names the part of the address."""
    with pytest.raises(web.HTTPBadRequest) as raised:
        filter_asked({"limit": "-1"})
    assert raised.value.text == "limit=-1: give a number from 1 to 200"
