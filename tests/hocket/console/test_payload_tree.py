"""A payload as rows."""

from hocket.console import MASKED, tree_of
from hocket.console.payload_tree import MAX_DEPTH, MAX_ROWS
from hocket.envelope import Json


def test_a_payload_becomes_rows() -> None:
    """Objects and lists are opened, values keep their kind."""
    data: dict[str, Json] = {"a": {"b": [1, "x"]}, "n": None, "t": True, "m": MASKED, "e": {}}
    assert [(node.depth, node.name, node.kind, node.text) for node in tree_of(data)] == [
        (0, "a", "object", "1 field"),
        (1, "b", "array", "2 items"),
        (2, "0", "number", "1"),
        (2, "1", "string", "x"),
        (0, "n", "null", "null"),
        (0, "t", "truth", "true"),
        (0, "m", "masked", MASKED),
        (0, "e", "object", "0 fields"),
    ]


def test_a_big_payload_is_bounded() -> None:
    """Neither width nor depth makes a page without end, and what is left out is said."""
    wide = tree_of({str(at): at for at in range(MAX_ROWS + 5)})
    assert len(wide) == MAX_ROWS + 1
    assert wide[-1].kind == "more"
    deep: Json = 1
    for _ in range(MAX_DEPTH + 5):
        deep = [deep]
    assert tree_of({"deep": deep})[-1].text == "deeper levels are not shown"
