"""The system clock, and the text of a moment."""

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from hocket.clock import KitClock, SystemClock, rfc3339


def test_the_machines_clock() -> None:
    """`now` is aware and in UTC; `monotonic` never decreases."""
    clock = SystemClock()
    first, now = clock.monotonic(), clock.now()
    assert now.tzinfo is UTC
    assert abs(datetime.now(UTC) - now) < timedelta(minutes=1)
    assert clock.monotonic() >= first


def test_the_kits_clock() -> None:
    """RULES 11.1: begun from the machine's clock, corrected on purpose alone; it knows how far the machine is off."""
    clock = KitClock()
    assert abs(clock.machine_ahead()) < 1
    assert abs(datetime.now(UTC) - clock.now()) < timedelta(minutes=1)
    clock.set_forward(600)
    assert -601 < clock.machine_ahead() < -599
    assert clock.now() - datetime.now(UTC) > timedelta(minutes=9)


@given(st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)), st.integers(-14, 14))  # noqa: DTZ001 - the zone follows
def test_times_are_written_in_utc_with_microseconds(moment: datetime, hours: int) -> None:
    """RFC 3339, always 27 characters; parsing it gives the same moment."""
    aware = moment.replace(tzinfo=timezone(timedelta(hours=hours)))
    text = rfc3339(aware)
    assert len(text) == 27
    assert text.endswith("Z")
    assert datetime.fromisoformat(text) == aware
