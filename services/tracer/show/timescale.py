"""The time axis of a flow: long silences take little room, near moments stay apart (docs/console.md §10.2). Pure."""

from bisect import bisect_right
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import log
from typing import NamedTuple

#: Moments nearer than this are one.
MERGED = timedelta(milliseconds=1)
#: Room of one interval in px: before the begin of a run (its arrow needs a head), before anything else, at most.
FLOOR_BEGIN, FLOOR, CEILING = 17.0, 9.0, 88.0
#: An interval longer than this carries `//`.
FOLDED = timedelta(seconds=10)
#: Room in px that the name of a moment needs on the axis.
NAME_ROOM = 88.0
#: How much at most a short flow is stretched.
MAX_STRETCH = 4.0


class Tick(NamedTuple):
    """A moment that has room for its name."""

    x: float
    moment: datetime


class Fold(NamedTuple):
    """A long interval that was folded: the middle of it, and its seconds."""

    x: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Scale:
    """Where each moment lies, in px from the left edge of the time."""

    moments: tuple[datetime, ...]
    places: tuple[float, ...]

    @property
    def width(self) -> float:
        """Room that all intervals take."""
        return self.places[-1] if self.places else 0.0

    def x(self, moment: datetime) -> float:
        """The place of a moment; before the first it is 0, between two it is the earlier one's."""
        at = bisect_right(self.moments, moment) - 1
        return self.places[max(at, 0)] if self.places else 0.0

    def ticks(self) -> list[Tick]:
        """The moments that have room for a name, from left to right."""
        found: list[Tick] = []
        for moment, place in zip(self.moments, self.places, strict=True):
            if not found or place - found[-1].x >= NAME_ROOM:
                found.append(Tick(place, moment))
        return found

    def folds(self) -> list[Fold]:
        """The intervals that were folded."""
        pairs = zip(self.moments, self.moments[1:], self.places, self.places[1:], strict=False)
        return [Fold((x + y) / 2, (b - a).total_seconds()) for a, b, x, y in pairs if b - a > FOLDED]


def scale_of(moments: Iterable[datetime], begins: Collection[datetime], width: float) -> Scale:
    """A scale for these moments, stretched to `width` px where they need less; `begins` are begins of runs."""
    kept: list[datetime] = []
    heads: set[int] = set()
    for moment in sorted(set(moments)):
        if not kept or moment - kept[-1] >= MERGED:
            kept.append(moment)
        if moment in begins:
            heads.add(len(kept) - 1)
    places = [0.0]
    for at in range(1, len(kept)):
        seconds = (kept[at] - kept[at - 1]).total_seconds()
        floor = FLOOR_BEGIN if at in heads else FLOOR
        places.append(places[-1] + min(max(floor, 14 * log(1 + seconds / 0.05)), CEILING))
    if not kept:
        return Scale((), ())
    stretch = min(MAX_STRETCH, max(1.0, width / places[-1])) if places[-1] else 1.0
    return Scale(tuple(kept), tuple(round(place * stretch, 1) for place in places))
