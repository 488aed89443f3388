"""Every state has a word, a shape and a colour."""

import re
from pathlib import Path

import hocket.console
from hocket.console import MARKS, mark_of

HERE = Path(hocket.console.__file__).parent
STYLE = (HERE / "static" / "console.css").read_text(encoding="utf-8")
SYMBOLS = (HERE / "templates" / "marks.html").read_text(encoding="utf-8")


def test_every_shape_is_drawn() -> None:
    """Each mark's symbol stands in the file of symbols."""
    drawn = set(re.findall(r'<symbol id="m-([a-z-]+)"', SYMBOLS))
    assert {each.symbol for each in MARKS.values()} <= drawn


def test_every_tone_has_a_class() -> None:
    """Each mark's colour is a class of the stylesheet."""
    assert all(f".{each.tone} {{" in STYLE for each in MARKS.values())


def test_no_two_states_of_a_kind_look_the_same() -> None:
    """Within one kind a grey print still tells states apart, by shape or by word; deferred is a way of waiting."""
    for kind in {kind for kind, _ in MARKS}:
        looks = [(mark.symbol, mark.word) for (of, at), mark in MARKS.items() if of == kind and at != "deferred"]
        assert len(looks) == len(set(looks)), kind


def test_an_unknown_state_keeps_its_word() -> None:
    """A state that nobody declared is a plain ring with its own word."""
    assert mark_of("flow", "sideways") == ("ring", "quiet", "sideways")
