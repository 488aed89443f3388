"""Counts drift of one subscription: a cached look at every event, a deep one at each new shape and one in a hundred.

What is counted stands for one boot of one process and only grows, so that facts of it can be lost, doubled and
reordered (RULES 7.4). The baseline is remembered by the tracer, which knows all boots.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from hocket.drift.compare import compare_with
from hocket.drift.kinds import Finding, Kind, Mode
from hocket.drift.paths import ANY, below
from hocket.drift.reads import Reader, Reads, fingerprint_of, reads_of
from hocket.drift.tally import MARKS, Counted, Place, Tally

#: Every so many events of one type get a deep look, whatever their shape (RULES 16.2).
EVERY = 100
#: Shapes (orders of top-level names) that are remembered of one type; what comes in more is looked at as the rest.
MAX_SHAPES = 256
#: Shapes of all types of one subscription together, and characters of all names of one: what is more is not remembered.
MAX_ALL_SHAPES, MAX_SHAPE_CHARS = 2_000, 8_000
#: Paths with their kinds that are counted of one type (RULES 16.3); unknown fields of one object, before they are `*`.
MAX_PATHS, MAX_SIBLINGS = 200, 50
#: Sources, types and versions of one subscription that are counted each; more are counted as one, `*`.
MAX_STREAMS = 200


class About(NamedTuple):
    """The event that is looked at."""

    source: str
    type: str
    version: int
    id: str


class _Shape:
    """Top-level names in one order: what they alone say, and how many events had them since they were last added."""

    __slots__ = ("findings", "first", "last", "many")

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = findings
        self.many = 0
        self.first: Place | None = None
        self.last: Place | None = None


class _Stream:
    """One source, type and version at one subscription."""

    def __init__(self, about: About, reads: Reads) -> None:
        self.about, self.reads, self.model = about, reads, fingerprint_of(reads)
        self.events, self.looked, self.more = 0, 0, 0
        self.told = -1  # events when it was told last
        self.first = self.last = datetime.min.replace(tzinfo=UTC)
        self.marks: list[tuple[int, datetime]] = []
        self.next_mark = MARKS[0]
        self.shapes: dict[tuple[str, ...], _Shape] = {}
        self.paths: dict[tuple[str, Kind], Tally] = {}
        self._siblings: dict[str, set[str]] = {}
        root = reads.choices[0] if len(reads.choices) == 1 else reads
        self._by_name = root.fields is not None and not reads.own and not root.own

    def look(self, data: object, place: Place, *, new: bool) -> list[Finding]:
        """Compare all of it, and count what is found; `new`: its shape is not known, and is remembered."""
        self.looked += 1
        findings = compare_with(self.reads, data)
        by_name = [each for each in findings if self._by_name and each.by_name]
        if new and isinstance(data, Mapping):
            self.shapes[tuple(data)] = _Shape(by_name)
        shape = self.shapes.get(tuple(data)) if isinstance(data, Mapping) else None
        for each in findings:
            if shape is None or each not in by_name:
                self._count(each, Tally(1, place, place, not (new and each in by_name), each.holds))
        if shape is not None and by_name:
            _add(shape, place)
        return findings

    def fold(self) -> None:
        """Add what the shapes have counted to the paths."""
        for shape in self.shapes.values():
            if shape.many and shape.first is not None and shape.last is not None:
                for each in shape.findings:
                    self._count(each, Tally(shape.many, shape.first, shape.last, holds=each.holds))
                shape.many, shape.first = 0, None

    def _count(self, found: Finding, tally: Tally) -> None:
        path = found.path
        if found.kind is Kind.UNKNOWN and found.own:
            path = self._sibling(found)
        key = (path, found.kind)
        known = self.paths.get(key)
        if known is None and len(self.paths) >= MAX_PATHS:
            self.more += tally.many
            return
        self.paths[key] = tally if known is None else known.and_also(tally)

    def _sibling(self, found: Finding) -> str:
        """The path under which an unknown field is counted: beyond so many of one object they are data (RULES 16.3)."""
        many, all_of_them = below(found.parent, ANY), self._siblings.setdefault(found.parent, set())
        if len(all_of_them) <= MAX_SIBLINGS:
            all_of_them.add(found.path)
        if len(all_of_them) <= MAX_SIBLINGS:
            return found.path
        for path in all_of_them:
            if (known := self.paths.pop((path, Kind.UNKNOWN), None)) is not None:
                one = self.paths.get((many, Kind.UNKNOWN))
                self.paths[many, Kind.UNKNOWN] = known if one is None else one.and_also(known)
        return many


class DriftWatch:
    """Looks at the events of one subscription, or at the bodies of one webhook, and counts how they drift."""

    def __init__(self, subscription: str, mode: Mode) -> None:
        self.subscription, self.mode = subscription, mode
        self._streams: dict[tuple[Reader, str, str, int], _Stream] = {}
        self._told: dict[tuple[str, str], int] = {}
        self._shapes = 0

    def look(self, model: Reader, data: object, about: About, now: datetime, *, whole: bool = False) -> list[Finding]:
        """Count one event, whose data is parsed JSON; what a deep look found, `[]` where there was none.

        `now` is when it came, by the service's clock. `whole` asks for the deep look: what is invalid gets one, and
        under `quarantine` everything does, so that nothing that differs is let through. It raises nothing for any JSON.
        """
        key = (model, about.source, about.type, about.version)
        stream = self._streams.get(key)
        if stream is None:
            stream = self._new(key, about)
        stream.events += 1
        stream.last = now
        if stream.events >= stream.next_mark:
            self._mark(stream, now)
        shape = stream.shapes.get(tuple(data)) if isinstance(data, dict) else None
        if shape is not None and not whole and stream.events % EVERY:
            if shape.findings:
                _add(shape, Place(about.id, now))
            return []
        new = shape is None and isinstance(data, dict) and self._remembers(stream, data)
        if new or whole or not stream.events % EVERY or not isinstance(data, dict):
            return stream.look(data, Place(about.id, now), new=new)
        return []

    def _remembers(self, stream: _Stream, data: Mapping[str, object]) -> bool:
        """Whether there is room for one more shape."""
        if len(stream.shapes) >= MAX_SHAPES or self._shapes >= MAX_ALL_SHAPES:
            return False
        if sum(map(len, data)) > MAX_SHAPE_CHARS:
            return False
        self._shapes += 1
        return True

    def judged(self, model: Reader, data: object) -> list[Finding]:
        """What differs, without counting it: a later attempt of an event that was counted."""
        return compare_with(reads_of(model), data)

    def _new(self, key: tuple[Reader, str, str, int], about: About) -> _Stream:
        if len(self._streams) >= MAX_STREAMS:
            key, about = (key[0], ANY, about.type, about.version), about._replace(source=ANY)
            if key in self._streams:
                return self._streams[key]
        made = self._streams[key] = _Stream(about, reads_of(key[0]))
        return made

    @staticmethod
    def _mark(stream: _Stream, now: datetime) -> None:
        stream.first = now if stream.events == 1 else stream.first
        stream.marks.append((stream.events, now))
        stream.next_mark = next((each for each in MARKS if each > stream.events), 2**62)

    def counted(self, *, all_of_it: bool = False) -> list[Counted]:
        """What was counted since the process began, of each stream that changed since this was asked last."""
        found: list[Counted] = []
        for stream in self._streams.values():
            if stream.events == stream.told and not all_of_it:
                continue
            stream.fold()
            stream.told = stream.events
            about = stream.about
            found.append(
                Counted(
                    self.subscription, about.source, about.type, about.version, stream.model, self.mode,
                    stream.events, stream.looked, stream.first, stream.last, tuple(stream.marks),
                    dict(stream.paths), stream.more,
                )
            )  # fmt: skip
        return found

    def untold(self) -> None:
        """What was counted last did not reach the broker: it is counted again."""
        for stream in self._streams.values():
            stream.told = -1

    def since_last(self) -> dict[tuple[str, str], int]:
        """How many differences were found since this was asked last, by type of event and kind, for the metrics."""
        found: dict[tuple[str, str], int] = {}
        for stream in self._streams.values():
            stream.fold()
            for (_, kind), tally in stream.paths.items():
                found[stream.about.type, kind.value] = found.get((stream.about.type, kind.value), 0) + tally.many
        new = {key: many - self._told.get(key, 0) for key, many in found.items()}
        self._told = found
        return {key: many for key, many in new.items() if many > 0}


def _add(shape: _Shape, place: Place) -> None:
    shape.many += 1
    shape.first = shape.first or place
    shape.last = place
