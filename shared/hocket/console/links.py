"""Builds links that keep the page's query (moment, filter): the address says what is shown (docs/console.md §1)."""

from collections.abc import Mapping
from urllib.parse import urlencode


def with_query(path: str, query: Mapping[str, str], **changes: str) -> str:
    """`path` with the parts of `query`, some of them changed; an empty part is left out."""
    kept = {name: value for name, value in {**query, **changes}.items() if value}
    return f"{path}?{urlencode(kept)}" if kept else path
