"""The stations of a delivery, as the command line prints them and as the documentation shows them."""

import re
from pathlib import Path

from hocket.delivery import STATIONS

PAGE = Path(__file__).parents[3] / "docs/house.md"


def test_the_documentation_shows_the_stations_of_the_code() -> None:
    """The table of docs/house.md has the same stations in the same order, with the same sentences."""
    table = PAGE.read_text(encoding="utf-8").partition("| station | promise |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| (\w+) \| (.+) \|$", table, re.MULTILINE) == list(STATIONS)
