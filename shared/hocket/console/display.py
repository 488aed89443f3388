"""How moments, durations, counts, ids and foreign text are shown (docs/console.md §5, §11)."""

import re
import unicodedata
from datetime import UTC, datetime, timedelta

from markupsafe import Markup, escape

#: Characters of an id that are shown; the whole id is copied.
SHORT_ID = 13
#: Characters of one foreign text that are shown on a page.
MAX_SHOWN = 64 * 1024
#: A word longer than the first may break after so many characters as the second; of a text no longer than `MAX_BROKEN`.
_LONG_WORD, _PIECE, MAX_BROKEN = re.compile(r"\S{33,}"), re.compile(r".{1,24}"), 2_000
#: Unicode categories that are shown as marks: control, format (bidi), surrogate, private use, line and paragraph.
HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Zl", "Zp"})


def moment_of(value: datetime | str | float) -> datetime:
    """A moment in UTC from what facts carry: a datetime, RFC 3339 text or seconds since 1970.

    `ValueError` where the text is not a valid time; one without an offset is read as UTC.
    """
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime.fromtimestamp(value, UTC)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def day_and_clock(value: datetime | str | float, now: datetime, *, exact: bool = False) -> str:
    """`14:05:01`, with the day before it as soon as it is not today; `exact` adds milliseconds."""
    moment = moment_of(value)
    clock = moment.strftime("%H:%M:%S") + (f".{moment.microsecond // 1000:03d}" if exact else "")
    if moment.date() == now.astimezone(UTC).date():
        return clock
    day = f"{moment.day} {moment.strftime('%b')}"
    return f"{day} {clock}" if moment.year == now.year else f"{day} {moment.year} {clock}"


def weekday_and_clock(value: datetime | str | float, now: datetime) -> str:
    """`Tue 14:05`, with the date before the time where it is not within the last six days."""
    moment = moment_of(value)
    if timedelta() <= now - moment < timedelta(days=6):
        return moment.strftime("%a %H:%M")
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.strftime('%a')} {moment.day} {moment.strftime('%b')}{year} {moment.strftime('%H:%M')}"


def time_element(value: datetime | str | float | None, now: datetime, *, exact: bool = False) -> Markup:
    """A `<time>` whose title has the whole moment; the page's script adds the reader's local time."""
    if value is None or value == "":
        return Markup("–")
    moment = moment_of(value)
    whole = moment.strftime("%Y-%m-%d %H:%M:%S.%f UTC")
    text = day_and_clock(moment, now, exact=exact)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), whole, text)


def duration(seconds: float) -> str:
    """`412 ms`, `5.0 s`, `26 min 54 s`, `1 h 48 min`, `3 d 4 h`; negative ones keep their sign."""
    if seconds < 0:
        return f"-{duration(-seconds)}"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    if whole < 86400:
        return f"{whole // 3600} h {whole % 3600 // 60} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def counted(number: int, one: str, more: str = "") -> str:
    """`1 letter`, `2,412 letters`; `more` is the word for several, without it `one` gets an s."""
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"


def short_id(value: str) -> str:
    """The first characters of an id, enough to tell it from others."""
    return value if len(value) <= SHORT_ID else value[:SHORT_ID].rstrip("-")


def id_element(value: str | None) -> Markup:
    """An id, shown short and copied whole."""
    if not value:
        return Markup("–")
    return Markup('<button type="button" class="id" data-copy="{0}" title="{0}, press to copy">{1}</button>').format(
        control_marks(value), short_id(control_marks(value))
    )


def _hidden(sign: str, keep: str) -> bool:
    return sign not in keep and unicodedata.category(sign) in HIDDEN_CATEGORIES


def control_marks(text: str, keep: str = "") -> str:
    """Plain text with every control, format and bidi character but `keep` written as `U+202E`."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(f"U+{ord(sign):04X}" if _hidden(sign, keep) else sign for sign in text)


def _breakable(text: str) -> Markup:
    """Escaped text whose long words may break, so that one word does not push a table out of the window."""
    if len(text) > MAX_BROKEN or not _LONG_WORD.search(text):
        return escape(text)
    parts = _LONG_WORD.sub(lambda found: "\0".join(_PIECE.findall(found[0])), text).split("\0")
    return Markup("<wbr>").join(parts)


def foreign_text(value: object, keep: str = "") -> Markup:
    """Foreign text as it may stand on a page: isolated, escaped, hidden characters as marks, bounded."""
    text = str(value)
    more = len(text) - MAX_SHOWN
    text = text[:MAX_SHOWN]
    if text.isascii() and text.isprintable():
        inner = _breakable(text)
    else:
        inner = Markup("").join(
            Markup('<span class="ctl">U+{:04X}</span>').format(ord(sign)) if _hidden(sign, keep) else escape(sign)
            for sign in text
        )
    rest = Markup(' <span class="aside">and {} more characters</span>').format(f"{more:,}") if more > 0 else Markup("")
    return Markup("<bdi>{}</bdi>{}").format(inner, rest)


def fitted(text: str, characters: int) -> str:
    """A text cut to so many characters, its end marked, for where it cannot wrap."""
    return text if len(text) <= characters else f"{text[: max(characters - 1, 1)]}…"


def stack_text(value: object) -> Markup:
    """A stack or raw text: as `foreign_text`, its line ends and tabs kept."""
    return foreign_text(value, keep="\n\t")
