"""Builds links that keep the page's query (moment, filter): the address says what is shown (docs/console.md §1)."""

from collections.abc import Mapping
from urllib.parse import quote, urlencode


def with_query(path: str, query: Mapping[str, str], **changes: str) -> str:
    """`path` with the parts of `query`, some of them changed; an empty part is left out."""
    kept = {name: value for name, value in {**query, **changes}.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path


def path_to(page: str, name: str, **query: str) -> str:
    """The address of one thing below `page`, whatever its name.

    A name with a segment that a browser takes out of a path (empty, `.`, `..`, with a backslash) stands in the query:
    `/subjects?name=a%2F..%2Fb`. Whoever serves `page` serves both.
    """
    parts = name.split("/")
    if any(part in {"", ".", ".."} or "\\" in part for part in parts):
        return with_query(page, {"name": name}, **query)
    return with_query(f"{page}/{quote(name, safe='/')}", query)
