"""Whether an error of a call says that the dependency is ill, and for how long it asks to be left alone. Pure.

Errors of HTTP clients are told by what they carry, not by their class, so that no client is imported: a `status` as
aiohttp's have, or a `response` with `status_code` and `headers` as httpx's and requests' have (RULES 6.2, 6.7).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple

from hocket.breaker import Breaker

#: Statuses below 500 that say that the dependency is ill or overloaded; every other one is an answer.
ILL_STATUSES = frozenset({408, 425, 429})
#: Statuses with which a `Retry-After` is believed.
BUSY_STATUSES = frozenset({429, 503})

#: Characters of the name of an error's class that are told.
MAX_KIND = 80


class Judgement(NamedTuple):
    """Whether the call failed, and for how many seconds the dependency asks to be left alone (0: it does not)."""

    ill: bool
    shut: float = 0.0


def judged(error: Exception, breaker: Breaker, now: datetime) -> Judgement:
    """What an error that left a call says; `now` is to be compared with a date in `Retry-After`."""
    if not isinstance(error, breaker.failures):
        return Judgement(False)
    if breaker.ill is not None:
        said = breaker.ill(error)
        return Judgement(True, max(said.total_seconds(), 0.0)) if isinstance(said, timedelta) else Judgement(bool(said))
    status = _status(error)
    if status is None:
        return Judgement(True)
    ill = status in ILL_STATUSES or status >= 500
    return Judgement(ill, retry_after(error, now) if status in BUSY_STATUSES else 0.0)


def kind_of(error: BaseException) -> str:
    """What failed, for people and logs: the class and an HTTP status, never the text, which may quote data."""
    name, status = type(error).__name__[:MAX_KIND], _status(error)
    return name if status is None else f"{name} ({status})"


def retry_after(error: Exception, now: datetime) -> float:
    """The seconds of the error's `Retry-After`, given as seconds or as an HTTP date; 0 where it has none."""
    text = _header(error, "Retry-After").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return 0.0
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max((moment - now).total_seconds(), 0.0)


def _status(error: BaseException) -> int | None:
    response = _of(error, "response")
    for found in (_of(error, "status"), _of(response, "status_code"), _of(response, "status"),
                  _of(error, "status_code")):  # fmt: skip
        if type(found) is int and found > 0:
            return found
    return None


def _header(error: Exception, name: str) -> str:
    for holder in (error, _of(error, "response")):
        headers = _of(holder, "headers")
        if isinstance(headers, Mapping):
            for each, value in headers.items():
                if str(each).lower() == name.lower():
                    return str(value)
    return ""


def _of(holder: object, name: str) -> Any:
    """What it has under this name; None where that raises, for an error's class is anybody's code."""
    try:
        return getattr(holder, name, None)
    except Exception:  # noqa: BLE001 -- whatever it raises
        return None
