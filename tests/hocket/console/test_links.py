"""Addresses of pages."""

from hocket.console import with_query


def test_an_address_with_a_part_changed() -> None:
    """Every view is an address; an empty part is left out."""
    assert with_query("/flows", {"q": "a b", "state": "done"}, state="", view="table") == "/flows?q=a+b&view=table"
