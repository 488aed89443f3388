"""What was counted of drift, and the fact that tells it (docs/wire.md#receipts). Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from hocket.clock import rfc3339
from hocket.drift.kinds import Kind, Mode

#: Counts of events whose moments are told: the tracer adds them up over boots to know when a thousand were seen.
MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class Place(NamedTuple):
    """An event and when it came, by the service's clock."""

    event: str
    time: datetime


class Tally(NamedTuple):
    """How often one path had one kind, with the first and the last event."""

    many: int
    first: Place
    last: Place
    deep: bool = False  # counted by deep looks, at least in part: it may be in more events
    holds: bool = False  # `quarantine` keeps such events out

    def and_also(self, other: "Tally") -> "Tally":
        """Both together."""
        first = min(self.first, other.first, key=lambda each: each.time)
        last = max(other.last, self.last, key=lambda each: each.time)
        return Tally(self.many + other.many, first, last, self.deep or other.deep, self.holds or other.holds)


class Counted(NamedTuple):
    """What one boot has counted of one source, type and version at one subscription."""

    subscription: str
    source: str
    type: str
    version: int
    model: str  # fingerprint of what the model reads: another model has another baseline
    mode: Mode
    events: int
    looked: int  # deep looks among them
    first: datetime
    last: datetime
    marks: tuple[tuple[int, datetime], ...]
    paths: Mapping[tuple[str, Kind], Tally]
    more: int = 0  # differences that are not in `paths`: there are too many of them

    def fact(self) -> dict[str, object]:
        """The fact, without who tells it when."""
        return {
            "kind": "drift", "subscription": self.subscription, "source": self.source, "type": self.type,
            "version": self.version, "model": self.model, "mode": self.mode, "events": self.events,
            "looked": self.looked, "first": rfc3339(self.first), "last": rfc3339(self.last),
            "marks": [[many, rfc3339(time)] for many, time in self.marks],
            "paths": [
                {
                    "path": path, "kind": kind.value, "many": each.many, "deep": each.deep,
                    "holds": each.holds,
                    "first": {"id": each.first.event, "time": rfc3339(each.first.time)},
                    "last": {"id": each.last.event, "time": rfc3339(each.last.time)},
                }
                for (path, kind), each in self.paths.items()
            ],
            "more": self.more,
        }  # fmt: skip
