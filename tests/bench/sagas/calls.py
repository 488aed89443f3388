"""What the calls that an API has seen say about the breaker before it. Pure."""

from collections.abc import Iterable, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

#: A probe may come so much earlier than a period after the one before it: two clocks never agree to the microsecond.
PERIOD_PART = 0.98


class Call(NamedTuple):
    """One call: for which order, in which attempt, from when to when (seconds since 1970), how it was answered."""

    order: str
    attempt: int
    began: float
    ended: float
    well: bool


class Reached(NamedTuple):
    """Calls while the breaker was open and the API down: each a period after the last, or beyond its slots."""

    probes: int
    beyond: int


def reached(calls: Iterable[Call], opened: float, back: float, period: float) -> Reached:
    """How many calls began after the breaker had opened, until the API was back."""
    last, probes, beyond = opened, 0, 0
    for began in sorted(each.began for each in calls if opened < each.began < back):
        if began - last >= period * PERIOD_PART:
            probes, last = probes + 1, began
        else:
            beyond += 1
    return Reached(probes, beyond)


def burned(calls: Iterable[Call], opened: float) -> tuple[int, int]:
    """Attempts that failed calls have cost: those that ended before the breaker opened, and later ones."""
    before = later = 0
    ordered = sorted(calls, key=lambda each: (each.order, each.began))
    for _, group in groupby(ordered, key=lambda each: each.order):
        of_one = list(group)
        for call, following in pairwise(of_one):
            if not call.well and following.attempt > call.attempt:
                before, later = before + (call.ended <= opened), later + (call.ended > opened)
    return before, later


def most_within(moments: Iterable[float], seconds: float) -> int:
    """The most moments that any window of so many seconds holds; its end does not belong to it."""
    ordered, first, most = sorted(moments), 0, 0
    for at, moment in enumerate(ordered):
        while moment - ordered[first] >= seconds:
            first += 1
        most = max(most, at - first + 1)
    return most


def part(values: Sequence[float], share: float) -> float:
    """The value below which this share of the values lies; 0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0
