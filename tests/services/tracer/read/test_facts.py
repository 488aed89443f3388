"""The facts of the log."""

from services.tracer.read.facts import Said, utc
from tests.services.tracer.sample_facts import START, happy


def test_who_said_it() -> None:
    """The service is the source without its slash."""
    assert happy(1).said[0].service == "orders"
    assert Said("urn:x", "1", "a", 1, "s", START, "f").service == "urn:x"


def test_no_moment_is_beyond_the_years_of_a_date() -> None:
    """Whatever number a database gives back is a moment that can be shown in any zone."""
    assert utc(1e15).year == 9999
    assert utc(-5).year == 1970
