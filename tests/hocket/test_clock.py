"""The system clock, and the text of a moment."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from hocket.clock import SystemClock, rfc3339


def test_the_machines_clock() -> None:
    """`now` is aware and in UTC; `monotonic` never decreases."""
    clock = SystemClock()
    first, now = clock.monotonic(), clock.now()
    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    assert clock.monotonic() >= first


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001 - the zone follows
def test_times_are_written_in_utc_with_microseconds(moment: datetime, hours: int) -> None:
    """RFC 3339, always 27 characters; parsing it gives the same moment."""
    aware = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = rfc3339(aware)
    assert len(text) == 27
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == aware
