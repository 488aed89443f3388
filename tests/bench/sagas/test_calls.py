"""What an API's log of calls says about the breaker before it."""

from tests.bench.sagas.calls import Call, Reached, burned, most_within, part, reached


def call(order: str, attempt: int, began: float, *, well: bool = False) -> Call:
    """A call that took a second."""
    return Call(order, attempt, began, began + 1, well)


def test_a_call_a_period_after_the_last_is_a_probe() -> None:
    """What began before the opening or after the return of the API is neither probe nor too much."""
    calls = [call("a", 1, at) for at in (9.0, 20.5, 31.0, 51.0)]
    assert reached(calls, opened=10.0, back=50.0, period=10.0) == Reached(probes=2, beyond=0)


def test_a_call_within_a_period_is_beyond_the_slots() -> None:
    """The period counts from the opening, then from each probe."""
    calls = [call("a", 1, at) for at in (10.1, 20.5, 20.6, 30.0)]
    assert reached(calls, opened=10.0, back=50.0, period=10.0) == Reached(probes=1, beyond=3)


def test_an_attempt_is_burned_where_the_next_call_has_a_higher_number() -> None:
    """Deferred calls keep their number; a call that was answered well has burned nothing."""
    calls = [
        call("a", 1, 1), call("a", 2, 5), call("a", 2, 20), call("a", 3, 30, well=True),
        call("b", 1, 3, well=True), call("c", 1, 4),
    ]  # fmt: skip
    assert burned(calls, opened=10.0) == (1, 1)


def test_a_window_ends_before_its_last_moment() -> None:
    """Two calls exactly a second apart are in no second together."""
    assert most_within([0.0, 1.0, 2.0], 1.0) == 1
    assert most_within([0.0, 0.5, 0.999, 1.0], 1.0) == 3
    assert most_within([], 1.0) == 0


def test_a_part_is_one_of_the_values() -> None:
    """The half of three values is the second, everything is the greatest."""
    assert part([3.0, 1.0, 2.0], 0.5) == 2.0
    assert part([3.0, 1.0, 2.0], 1.0) == 3.0
    assert part([], 0.5) == 0.0
