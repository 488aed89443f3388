"""Hides sensitive values in texts: error texts, stacks, log lines, spans (RULES 18.1).

One `Mask` knows the sensitive values of the events in hand. Beside them every mask hides the secrets of the settings of
the process, passwords and tokens in addresses, and the input that pydantic quotes in its errors.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar

from hocket.config import HIDDEN, SECRET_PARAMETERS
from hocket.event import Heard
from hocket.masking.spellings import FRAGMENT, MIN_CHARS, Spelling, digits_of, spellings_of
from hocket.masking.values import of_data, of_model

#: Values of one event that are looked for, the longest first.
MAX_VALUES = 200
#: Characters of a text that are searched; what comes behind them is cut off.
MAX_TEXT = 64 * 1024
#: Shortest secret of the settings that is looked for; a shorter one is mostly an ordinary word.
MIN_SECRET = 8

_DIGIT_MARKS = re.compile(r"[\s().+/-]")
_PARAMETERS = "|".join(SECRET_PARAMETERS)
#: What every text may hold: pydantic's quoted input, a password in an address, a token in a query or a header. Each
#: is looked for where its mark stands.
_QUOTED = (
    (
        "input_value=",
        re.compile(r"input_value=.{0,200}?, input_type=(\w+)\]$", re.DOTALL | re.MULTILINE),
        rf"input_value={HIDDEN}, input_type=\1]",
    ),
    ("://", re.compile(r"(\b[A-Za-z][\w+.-]*://[^\s/:@'\"]*:)[^\s/@'\"]+@"), rf"\1{HIDDEN}@"),
    (
        "=",
        re.compile(rf"([?&][^=&\s'\"]*(?:{_PARAMETERS})[^=&\s'\"]*=)[^&\s'\"]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (
        "uthorization",
        re.compile(r"(authorization['\"]?\s*[:=]\s*['\"]?\w+\s+)[^\s'\",]+", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
)


class Mask:
    """Hides these values, in every spelling that RULES 18.1 names. Made for a failure or a log line, never before."""

    __slots__ = ("_digits", "_spellings", "_words")

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = sorted({each for each in values if each.strip()}, key=len, reverse=True)[:MAX_VALUES]
        self._spellings = [spelling for each in known for spelling in spellings_of(each)]
        self._words = [each for each in known if 1 < len(each) < MIN_CHARS]
        self._digits = [found for each in known if (found := digits_of(each))]

    def hide(self, text: str) -> str:
        """The text without the values, and cut to `MAX_TEXT`."""
        if cut := len(text) > MAX_TEXT:
            text = text[:MAX_TEXT]
        low = text.lower()
        for spelling in (*_secrets.values(), *self._spellings):
            if spelling.low in low:
                text = spelling.hide(text, HIDDEN)
                low = text.lower()
        for word in self._words:
            if word.lower() in low:
                text = re.sub(rf"(?<!\w){re.escape(word)}(?!\w)", HIDDEN, text, flags=re.IGNORECASE)
        if self._digits:
            bare = _DIGIT_MARKS.sub("", text)
            for digits in self._digits:
                if digits in bare:
                    text = re.sub(r"[\s().+/-]{0,3}".join(digits), HIDDEN, text)
        for mark, pattern, instead in _QUOTED:
            if mark in text:
                text = pattern.sub(instead, text)
        return text[:-FRAGMENT] if cut else text  # a value that the cut has shortened is not found


_secrets: dict[str, Spelling] = {}
_in_hand: ContextVar[Callable[[], Mask] | None] = ContextVar("hocket_in_hand", default=None)
#: Hides only what every mask hides.
ALWAYS = Mask()


def mask_of(*models: object, came: Iterable[tuple[Mapping[str, object], type[Heard]]] = ()) -> Mask:
    """The mask for the sensitive values of these events (anything else is passed over), and of data as they came."""
    found = [value for model in models if isinstance(model, Heard) for value in of_model(model)]
    for data, model in came:
        found += of_data(data, model.__hocket_sensitive__)
    return Mask(found) if found else ALWAYS


def take(mask: Callable[[], Mask]) -> None:
    """From here on, in this context, texts are about the events whose mask this makes."""
    _in_hand.set(mask)


def mask_in_hand() -> Mask:
    """The mask for the events in hand in this context; elsewhere the one that hides what every mask hides."""
    mask = _in_hand.get()
    return mask() if mask is not None else ALWAYS


def keep_secret(secrets: Iterable[str]) -> None:
    """Hide these secrets of the settings in every text of this process; those below `MIN_SECRET` are passed over."""
    for secret in secrets:
        if len(secret) >= MIN_SECRET:
            _secrets.update((each.low, each) for each in spellings_of(secret))
