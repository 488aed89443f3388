"""The part of a limit that one replica holds."""

from hypothesis import given
from hypothesis import strategies as st

from hocket.resilience.breakers.share import Bucket, Flight, Part, part_of


@given(st.integers(1, 10_000), st.sets(st.text(min_size=1, max_size=4), min_size=1, max_size=20))
def test_all_parts_together_are_the_limit(limit: int, owners: set[str]) -> None:
    """RULES 6.9: never more, whoever counts; never less."""
    assert sum(part_of(limit, each, sorted(owners)) for each in owners) == limit


@given(st.integers(1, 200), st.floats(0.5, 100), st.lists(st.floats(0, 0.5), min_size=1, max_size=300))
def test_no_window_sees_more_calls_than_the_part(limit: int, window: float, waits: list[float]) -> None:
    """RULES 6.9: however the calls come."""
    part = Part(limit, "me", 0.0)
    part.learn(["me"], 0.0)
    bucket, now, begun = Bucket(part, window), 0.0, list[float]()
    for wait in waits:
        now += wait * window
        while bucket.wait(now) == 0:
            bucket.take()
            begun.append(now)
    for at, first in enumerate(begun):
        assert sum(first <= each < first + window for each in begun[at:]) <= limit


def test_a_part_shrinks_at_once_and_grows_late() -> None:
    """RULES 6.9: while some replicas do not know yet who lives, the parts together are no more than the limit."""
    alone = Part(10, "a", 5.0)
    alone.learn(["a"], 0.0)
    assert alone.have(0.0) == 10, "who is alone waits for nobody"
    fresh = Part(10, "b", 5.0)
    fresh.learn(["a", "b"], 1.0)
    assert fresh.have(1.0) == 0
    alone.learn(["a", "b"], 4.0)
    assert alone.have(4.0) == 5
    assert fresh.have(6.0) == 5
    alone.learn(["a"], 10.0)
    assert (alone.have(10.0), alone.have(15.0)) == (5, 10)


def test_calls_at_once() -> None:
    """RULES 6.9: what is out is not free."""
    part = Part(2, "a", 0.0)
    part.learn(["a"], 0.0)
    flight = Flight(part)
    flight.out = 1
    assert flight.free(0.0) == 1
    flight.out = 3
    assert flight.free(0.0) == 0
