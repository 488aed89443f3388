"""What the errors of HTTP clients say of a dependency."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hocket.breaker import Breaker
from hocket.resilience.breakers.verdict import Judgement, judged

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Answered(Exception):
    """As aiohttp raises it: the status is its own."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.status, self.headers = status, headers or {}


class Response:
    """As httpx and requests have it."""

    def __init__(self, status_code: int, headers: dict[str, str]) -> None:
        self.status_code, self.headers = status_code, headers


class Carried(Exception):
    """As httpx and requests raise it: the response has the status."""

    def __init__(self, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(status)
        self.response = Response(status, headers or {})


API = Breaker("api", failures=(Answered, Carried, TimeoutError))


@pytest.mark.parametrize("kind", [Answered, Carried])
def test_what_counts(kind: Any) -> None:
    """RULES 6.2: of HTTP statuses 408, 425, 429 and 5xx; errors without one; nothing that is not of `failures`."""
    counted = [status for status in range(400, 600) if judged(kind(status), API, NOW).ill]
    assert counted == [408, 425, 429, *range(500, 600)]
    assert judged(TimeoutError(), API, NOW) == Judgement(True)
    assert judged(KeyError(), API, NOW) == Judgement(False)


@pytest.mark.parametrize("kind", [Answered, Carried])
@pytest.mark.parametrize(
    ("status", "header", "seconds"),
    [
        (429, "120", 120), (503, " 7 ", 7), (500, "120", 0), (503, "", 0), (503, "soon", 0), (503, "-4", 0),
        (503, "Thu, 01 Jan 2026 12:01:30 GMT", 90), (503, "Thu, 01 Jan 2026 11:00:00 GMT", 0),
        (503, "Thu, 01 Jan 2026 12:01:30 +" + "9" * 20, 0), (503, "1 Jan " + "9" * 400 + " 12:01:30 GMT", 0),
        (503, "1 Jan 2026 " + "9" * 40 + ":01:30 GMT", 0), (503, "Thu, 99 Foo", 0), (503, "1e3", 0), (503, "\u0663", 0),
    ],
)  # fmt: skip
def test_retry_after_is_read(kind: Any, status: int, header: str, seconds: float) -> None:
    """RULES 6.7: as seconds or as an HTTP date, of a 429 or 503, whatever the spelling of the header."""
    for name in ("Retry-After", "retry-after"):
        assert judged(kind(status, {name: header}), API, NOW).shut == seconds


def test_ill_judges_instead() -> None:
    """RULES 6.2: a service's own function has the word on errors of `failures`, and may say for how long."""
    api = Breaker(
        "api", failures=(Answered,), ill=lambda error: timedelta(minutes=5) if "quota" in str(error) else False
    )
    quota = Answered(200)
    quota.args = ("quota",)
    assert judged(quota, api, NOW) == Judgement(True, 300.0)
    assert judged(Answered(503), api, NOW) == Judgement(False)
