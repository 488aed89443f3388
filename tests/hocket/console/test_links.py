"""Addresses of pages."""

import pytest

from hocket.console import path_to, with_query


def test_an_address_with_a_part_changed() -> None:
    """Every view is an address; an empty part is left out."""
    assert with_query("/flows", {"q": "a b", "state": "done"}, state="", view="table") == "/flows?q=a+b&view=table"


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("order/4711", "/subjects/order/4711?at=now"),
        ("a b?#", "/subjects/a%20b%3F%23?at=now"),
        ("order/../x", "/subjects?name=order%2F..%2Fx&at=now"),
        ("a//b", "/subjects?name=a%2F%2Fb&at=now"),
        (".", "/subjects?name=.&at=now"),
        ("a\\b", "/subjects?name=a%5Cb&at=now"),
    ],
)
def test_whatever_its_name_a_thing_has_an_address(name: str, path: str) -> None:
    """A name that a browser would shorten in a path stands in the query."""
    assert path_to("/subjects", name, at="now") == path
