"""A payload as a tree of rows, so that templates only draw (docs/console.md §5)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hocket.console.masking import MASKED
from hocket.envelope.cloudevent import Json

#: Rows of one payload that are drawn; a last row says that there is more.
MAX_ROWS = 500
#: Levels of one payload that are drawn.
MAX_DEPTH = 24


class Node(NamedTuple):
    """One row: its depth, its name, what kind of value it is, and the value's text where it has one."""

    depth: int
    name: str
    kind: str  # object, array, string, number, truth, null, masked, more
    text: str


def tree_of(data: Mapping[str, Json]) -> list[Node]:
    """The rows of `data` in its own order, at most `MAX_ROWS` and `MAX_DEPTH`; a last row tells of the rest."""
    rows: list[Node] = []
    for node in _walk(data.items(), 0):
        if len(rows) == MAX_ROWS:
            rows.append(Node(0, "…", "more", f"only the first {MAX_ROWS} rows are shown"))
            break
        rows.append(node)
    return rows


def _walk(items: Iterable[tuple[object, Json]], depth: int) -> Iterator[Node]:
    if depth > MAX_DEPTH:
        yield Node(depth, "…", "more", "deeper levels are not shown")
        return
    for name, value in items:
        yield from _rows(str(name), value, depth)


def _rows(name: str, value: Json, depth: int) -> Iterator[Node]:
    if isinstance(value, Mapping):
        yield Node(depth, name, "object", f"{len(value)} fields" if len(value) != 1 else "1 field")
        yield from _walk(value.items(), depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str):
        yield Node(depth, name, "array", f"{len(value)} items" if len(value) != 1 else "1 item")
        yield from _walk(enumerate(value), depth + 1)
    elif value is None:
        yield Node(depth, name, "null", "null")
    elif isinstance(value, bool):
        yield Node(depth, name, "truth", "true" if value else "false")
    elif isinstance(value, int | float):
        yield Node(depth, name, "number", str(value))
    else:
        yield Node(depth, name, "masked" if value == MASKED else "string", value)
