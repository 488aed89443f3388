"""How moments, durations, counts, ids and foreign text are shown."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hocket.console.display import (
    MAX_SHOWN,
    control_marks,
    counted,
    day_and_clock,
    duration,
    fitted,
    foreign_text,
    id_element,
    moment_of,
    short_id,
    stack_text,
    time_element,
)

NOW = datetime(2026, 11, 24, 14, 32, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        ("2026-11-24T14:05:01.123456Z", "14:05:01"),
        ("2026-11-15T14:05:01Z", "15 Nov 14:05:01"),
        ("2025-11-15T14:05:01Z", "15 Nov 2025 14:05:01"),
        (datetime(2026, 11, 24, 15, 5, 1, tzinfo=timezone(timedelta(hours=1))), "14:05:01"),
        (NOW.timestamp(), "14:32:08"),
    ],
)
def test_the_day_is_shown_when_it_is_not_today(moment: datetime | str | float, shown: str) -> None:
    """Times are UTC; the day stands before them as soon as it is not today."""
    assert day_and_clock(moment, NOW) == shown


def test_an_exact_time_has_milliseconds() -> None:
    """Tables of facts show milliseconds."""
    assert day_and_clock("2026-11-24T14:05:01.123456Z", NOW, exact=True) == "14:05:01.123"


def test_a_time_carries_its_whole_moment() -> None:
    """The element's title has the whole moment; nothing at all is a dash."""
    element = time_element("2026-11-24T14:05:01.123456Z", NOW)
    assert 'title="2026-11-24 14:05:01.123456 UTC"' in element
    assert time_element(None, NOW) == "–"


def test_a_moment_without_an_offset_is_utc() -> None:
    """Text without an offset is read as UTC."""
    assert moment_of("2026-11-24T14:05:01") == datetime(2026, 11, 24, 14, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0, "0 ms"), (0.412, "412 ms"), (0.9996, "1.0 s"), (5, "5.0 s"), (59.94, "59.9 s"), (59.96, "1 min 0 s"),
        (1614, "26 min 54 s"), (3599.6, "1 h 0 min"), (6480, "1 h 48 min"), (90000, "1 d 1 h"), (-2, "-2.0 s"),
    ],
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    """A duration has the units a person would say."""
    assert duration(seconds) == shown


def test_an_id_is_shortened_and_copied_whole() -> None:
    """The eye gets the head, the clipboard all of it; there may be none."""
    whole = "0199c2f5-03be-7000-8000-000000000001"
    assert short_id(whole) == "0199c2f5-03be"
    assert short_id("ord-1") == "ord-1"
    assert f'data-copy="{whole}"' in id_element(whole)
    assert id_element("") == "–"


def test_hidden_characters_are_seen() -> None:
    """Control and bidi characters stand as marks, and markup is text."""
    assert control_marks("a\u202eb\x00") == "aU+202EbU+0000"
    shown = foreign_text("<b>\u202e\u2066x")
    assert shown == (
        '<bdi>&lt;b&gt;<span class="ctl">U+202E</span><span class="ctl">U+2066</span>x</bdi>'
    )  # fmt: skip
    assert "\n" in stack_text("line\n\tnext")


def test_a_long_text_is_cut_and_says_so() -> None:
    """Only the head of a long text is shown."""
    assert "and 1 more characters" in foreign_text("x" * (MAX_SHOWN + 1))


@given(st.text())
def test_no_foreign_text_becomes_markup(text: str) -> None:
    """Whatever the text, no tag of its own reaches the page."""
    inner = str(foreign_text(text)).replace('<span class="ctl">', "").replace("</span>", "")
    assert "<" not in inner.removeprefix("<bdi>").removesuffix("</bdi>")


def test_one_and_several_are_counted_in_words() -> None:
    """The noun follows the number; thousands are set apart."""
    assert counted(1, "letter") == "1 letter"
    assert counted(2412, "letter") == "2,412 letters"
    assert counted(0, "delivery", "deliveries") == "0 deliveries"


def test_a_long_word_may_break() -> None:
    """One word does not push a table out of its window; what is copied is unchanged, markup stays text."""
    assert foreign_text("order/" + "x" * 60) == f"<bdi>order/{'x' * 18}<wbr>{'x' * 24}<wbr>{'x' * 18}</bdi>"
    assert (
        foreign_text("short words, many of them, as in a sentence")
        == "<bdi>short words, many of them, as in a sentence</bdi>"
    )
    assert "<b>" not in foreign_text("<b>" * 20)
    assert fitted("x" * 50, 10) == "x" * 9 + "…"
    assert fitted("short", 10) == "short"
