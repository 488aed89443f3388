"""Whether a process's memory stays where it was. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

#: What a process may have gained or lost at the end, in per cent of what it had once warm.
FLAT = 10.0
#: The warm-up is this share of the run, but no longer than so many seconds.
WARM_UP_SHARE, WARM_UP_SECONDS = 0.25, 300.0
#: What is compared: the first and the last tenth after the warm-up, of so many samples at least.
TENTH, LEAST = 10, 3


@dataclass(frozen=True, slots=True)
class Drift:
    """Median memory of one process once warm and at the end, in bytes."""

    first: float
    last: float

    @property
    def percent(self) -> float:
        """What was gained, in per cent."""
        return (self.last - self.first) / self.first * 100

    @property
    def flat(self) -> bool:
        """Whether that is within the bound."""
        return abs(self.percent) <= FLAT


def drift(curve: Sequence[tuple[float, float]]) -> Drift:
    """Judge samples `(seconds since the run began, bytes)`. `ValueError` where there are too few after the warm-up."""
    warm = min(curve[-1][0] * WARM_UP_SHARE, WARM_UP_SECONDS) if curve else 0.0
    values = [size for at, size in curve if at >= warm]
    if len(values) < 2 * LEAST:
        raise ValueError(f"{len(values)} samples after the warm-up are too few to judge memory: let the run be longer")
    count = max(len(values) // TENTH, LEAST)
    return Drift(median(values[:count]), median(values[-count:]))


def drifts(curves: Mapping[str, Sequence[tuple[float, float]]]) -> dict[str, Drift]:
    """The same of several processes."""
    return {name: drift(curve) for name, curve in curves.items()}
