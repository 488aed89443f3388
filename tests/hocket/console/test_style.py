"""The colour tokens keep their contrast, in light and in dark (docs/console.md §3)."""

import re
from pathlib import Path

import pytest

import hocket.console

STYLE = (Path(hocket.console.__file__).parent / "static" / "console.css").read_text(encoding="utf-8")
STATES = ("run", "wait", "done", "fail", "comp", "stuck", "zombie", "quiet")
GROUNDS = ("bg", "surface", "sunk", "accent-tint")


def tokens(block: str) -> dict[str, str]:
    """The colours of one block of the stylesheet."""
    return dict(re.findall(r"--([a-z0-9-]+):\s*(#[0-9a-f]{6})", block))


def luminance(colour: str) -> float:
    """Relative luminance after WCAG."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio after WCAG."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


LIGHT = tokens(STYLE.split("@media (prefers-color-scheme: dark)")[0])
DARK = tokens(STYLE.split("@media (prefers-color-scheme: dark)")[1].split("\n}\n")[0])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_text_can_be_read(theme: dict[str, str]) -> None:
    """Every text token has at least 4.8:1 on each ground, states also on their own tint."""
    weak = [
        (text, ground, round(contrast(theme[text], theme[ground]), 2))
        for text in ("text", "text2", "text3", "accent", *STATES)
        for ground in (*GROUNDS, *([f"{text}-tint"] if text in STATES else []))
        if contrast(theme[text], theme[ground]) < 4.8
    ]
    assert weak == []
    assert contrast(theme["on-accent"], theme["accent"]) >= 4.8


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=["light", "dark"])
def test_arrows_can_be_seen(theme: dict[str, str]) -> None:
    """Outlines that carry meaning have at least 3.1:1 on each ground."""
    assert min(contrast(theme["edge"], theme[ground]) for ground in GROUNDS[:3]) >= 3.1


def test_both_themes_name_the_same_tokens() -> None:
    """No token is forgotten in the dark."""
    assert set(LIGHT) == set(DARK)
