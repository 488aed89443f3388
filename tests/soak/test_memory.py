"""The soak's verdict on memory: once warm against the end, by medians."""

import pytest

from tests.soak.memory import LEAST, drift, drifts


def curve(minutes: int, sizes: dict[int, float], otherwise: float = 100.0) -> list[tuple[float, float]]:
    """A sample each 10 s; `sizes` are by the sample's number."""
    return [(number * 10.0, sizes.get(number, otherwise)) for number in range(1, minutes * 6 + 1)]


def test_what_stays_is_flat() -> None:
    """The same memory from begin to end is no drift."""
    found = drift(curve(20, {}))
    assert found.flat
    assert found.percent == 0.0


def test_the_warm_up_is_no_growth() -> None:
    """What a process takes in the first five minutes, or the first quarter of a short run, is not judged."""
    assert drift(curve(60, dict.fromkeys(range(29), 10.0))).percent == 0.0
    assert drift(curve(2, {1: 10.0, 2: 10.0})).percent == 0.0


def test_the_warm_up_of_a_long_run_is_five_minutes() -> None:
    """An hour is judged from its fifth minute on: growth in the tenth is seen."""
    assert drift([(at, 10.0 if at < 900 else 20.0) for at in map(float, range(10, 3610, 10))]).percent == 100.0


def test_a_leak_is_seen() -> None:
    """Slow steady growth beyond the bound is not flat, and so is memory that was lost."""
    grows = [(number * 10.0, 100.0 + number * 0.2) for number in range(1, 121)]
    assert not drift(grows).flat
    assert drift(grows).percent > 10.0
    assert not drift([(at, 220.0 - size) for at, size in grows]).flat


def test_one_peak_is_no_leak() -> None:
    """A single sample in the last tenth does not decide."""
    assert drift(curve(20, {119: 500.0})).flat


def test_each_process_for_itself() -> None:
    """One that grows is not hidden by one that shrinks."""
    found = drifts(
        {"a": [(n, 100.0 + n) for n in map(float, range(100))], "b": [(n, 100.0) for n in map(float, range(100))]}
    )
    assert not found["a"].flat
    assert found["b"].flat


def test_too_few_samples() -> None:
    """A run too short to judge says so instead of calling it flat."""
    with pytest.raises(ValueError, match="too few"):
        drift([(float(number), 1.0) for number in range(2 * LEAST - 1)])
    with pytest.raises(ValueError, match="too few"):
        drift([])
