"""What many boots have counted of drift, put together, and what of it came after the baseline (RULES 16.3). Pure.

Each fact tells all that its boot has counted so far. Of two facts of one boot the one with more events counts, so that
facts may be lost, come twice and in any order; a process that starts again is another boot.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from hocket.console.drift_facts import ANY, Kind, below, parent_of

#: The baseline ends with the later of the two.
BASELINE_EVENTS, BASELINE_TIME = 1000, timedelta(hours=24)
#: Moments that are kept of boots that were put together.
MAX_MARKS = 50


class Boot(NamedTuple):
    """What one boot has counted of a stream: one source, type and version at one subscription, read by one model."""

    events: int
    looked: int  # deep looks among them
    more: int  # differences beyond those that it tells
    first: datetime
    last: datetime
    told: datetime  # when it told that
    mode: str
    marks: tuple[tuple[int, datetime], ...] = ()  # when it had counted so many


class Sighted(NamedTuple):
    """How often one path had one kind."""

    many: int
    first: datetime
    first_event: str
    last: datetime
    last_event: str
    deep: bool = False  # counted by deep looks, at least in part
    holds: bool = False  # `quarantine` keeps such events out


def later_of(one: Boot, other: Boot) -> Boot:
    """Two facts of one boot as one."""
    more = max(one, other, key=lambda each: (each.events, each.looked, each.more, each.told, each.mode))
    newest = max(one, other, key=lambda each: (each.told, each.mode))
    return more._replace(
        first=min(one.first, other.first), last=max(one.last, other.last), told=newest.told, mode=newest.mode,
        marks=max(one.marks, other.marks, key=lambda each: (len(each), each)),
    )  # fmt: skip


def later_sighting(one: Sighted, other: Sighted) -> Sighted:
    """Two facts of one boot about one path as one."""
    return _around(one, other)._replace(many=max(one.many, other.many))


def both_sightings(one: Sighted, other: Sighted) -> Sighted:
    """Two boots, or two subscriptions, about one path."""
    return _around(one, other)._replace(many=one.many + other.many)


def _around(one: Sighted, other: Sighted) -> Sighted:
    first = min((one.first, one.first_event), (other.first, other.first_event))
    last = max((one.last, one.last_event), (other.last, other.last_event))
    return Sighted(0, *first, *last, deep=one.deep or other.deep, holds=one.holds or other.holds)


def together(boots: Sequence[Boot]) -> Boot:
    """Boots that are over, as one; the moments until the baseline's number was reached are kept."""
    many, marks = 0, list[tuple[int, datetime]]()
    for count, when in _steps(boots):
        many += count
        marks.append((many, when))
        if many >= BASELINE_EVENTS:
            break
    if len(marks) > MAX_MARKS:
        marks = marks[:: len(marks) // MAX_MARKS + 1] + marks[-1:]
    newest = max(boots, key=lambda each: each.told)
    return Boot(
        sum(each.events for each in boots), sum(each.looked for each in boots), sum(each.more for each in boots),
        min(each.first for each in boots), max(each.last for each in boots), newest.told, newest.mode, tuple(marks),
    )  # fmt: skip


def baseline_end(boots: Sequence[Boot]) -> datetime | None:
    """When the baseline was over: a day after the first event and a thousand events, the later; None: it is not over.

    Of each boot it is known when it had counted so many; between two such moments it is taken to have counted none.
    """
    many = 0
    for count, when in _steps(boots):
        many += count
        if many >= BASELINE_EVENTS:
            return max(when, min(each.first for each in boots) + BASELINE_TIME)
    return None


def _steps(boots: Iterable[Boot]) -> list[tuple[int, datetime]]:
    """By how much the count grew, and when, over all boots, in order of time."""
    steps: list[tuple[int, datetime]] = []
    for each in boots:
        known = 0
        for many, when in sorted({*each.marks, (each.events, each.last)}):
            if many > known:
                steps.append((many - known, when))
                known = many
    return sorted(steps, key=lambda step: (step[1], step[0]))


def is_new(sighted: Sighted, end: datetime | None) -> bool:
    """Whether it was first seen after the baseline."""
    return end is not None and sighted.first > end


Paths = Mapping[tuple[str, str], Sighted]


def without_data(paths: Paths) -> dict[tuple[str, str], Sighted]:
    """The paths without names that one boot has taken for data: where there is `customer.*`, it stands for all."""
    unknown = [path for path, kind in paths if kind == Kind.UNKNOWN]
    many = {parent_of(path) for path in unknown if path == below(parent_of(path), ANY)}
    found: dict[tuple[str, str], Sighted] = {}
    for (path, kind), each in paths.items():
        parent = parent_of(path)
        key = (below(parent, ANY), kind) if kind == Kind.UNKNOWN and parent in many else (path, kind)
        found[key] = both_sightings(found[key], each) if key in found else each
    return found
