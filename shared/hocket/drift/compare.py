"""Compares JSON with what a model reads of it: which fields are new, missing, null, of another type or value. Pure."""

from collections.abc import Mapping
from typing import Any

from hocket.drift.kinds import Finding, Kind
from hocket.drift.paths import ANY, UNSHOWN, WHOLE, below, items_of, name_of
from hocket.drift.reads import LIST, NULL, OBJECT, Field, Reader, Reads, kind_of, reads_of

#: Values that one comparison looks at; what stands behind them is not judged.
MAX_VALUES = 20_000
#: Depth to which it looks: no call is nested deeper, whatever a model that holds itself is sent.
MAX_DEPTH = 100
#: Differences that one comparison gives, each path and kind once.
MAX_FINDINGS = 1_000


def compare(model: Reader, data: object) -> list[Finding]:
    """How parsed JSON differs from what the model reads, each path and kind once; `[]`: not at all.

    At most `MAX_VALUES` values are looked at and `MAX_FINDINGS` differences given. It raises nothing for any JSON.
    """
    return compare_with(reads_of(model), data)


def compare_with(reads: Reads, data: object) -> list[Finding]:
    """As `compare`, for a tree that is made already."""
    found: dict[tuple[str, Kind], Finding] = {}
    _Look().at(reads, data, "", "", found)
    return list(found.values())


Found = dict[tuple[str, Kind], Finding]


class _Look:
    """One comparison and how many values it may still look at."""

    __slots__ = ("_depth", "_left")

    def __init__(self) -> None:
        self._left, self._depth = MAX_VALUES, 0

    def at(self, reads: Reads, value: object, path: str, parent: str, found: Found) -> None:
        """Compare what stands at a place."""
        self._left -= 1
        if self._left < 0 or self._depth >= MAX_DEPTH or len(found) >= MAX_FINDINGS or reads.anything:
            return
        self._depth += 1
        self._at(reads, value, path, parent, found)
        self._depth -= 1

    def _at(self, reads: Reads, value: object, path: str, parent: str, found: Found) -> None:
        if reads.own:
            self._own(reads, value, path, parent, found)
            return
        kind = kind_of(value)
        if kind is NULL:
            _add(found, path, Kind.NULL, parent, allowed=_allows_nothing(reads))
        elif reads.tag is not None:
            self._tagged(*reads.tag, value, path, parent, found)
        elif reads.choices:
            self._nearest(reads.choices, value, path, parent, found)
        elif kind not in reads.kinds:
            _add(found, path, Kind.TYPE, parent)
        elif reads.values is not None and (type(value), value) not in reads.values:
            _add(found, path, Kind.VALUE, parent)
        elif kind is OBJECT and isinstance(value, Mapping):
            self._object(reads, value, path, found)
        elif kind is LIST and isinstance(value, list | tuple):
            self._list(reads, value, path, found)

    def _object(self, reads: Reads, value: Mapping[str, Any], path: str, found: Found) -> None:
        keys = reads.keys
        for name, each in value.items():
            there = keys.get(name)
            if there is not None:
                self.at(there, each, below(path, name_of(name)), path, found)
            elif reads.rest is not None:
                self.at(reads.rest, each, below(path, ANY), path, found)
            else:
                shown = name_of(name)
                _add(found, below(path, shown), Kind.UNKNOWN, path, own=shown != UNSHOWN)
        for field in reads.fields or ():
            if not any(key in value for key in field.keys):
                _missing(found, field, path)

    def _list(self, reads: Reads, value: list[Any] | tuple[Any, ...], path: str, found: Found) -> None:
        below_it = items_of(path)
        for at, each in enumerate(value):
            if self._left < 0:
                return
            there = reads.items[at] if at < len(reads.items) else reads.rest
            if there is not None:
                self.at(there, each, below_it, path or WHOLE, found)

    def _tagged(
        self, name: str, choices: Mapping[object, Reads], value: object, path: str, parent: str, found: Found
    ) -> None:
        if not isinstance(value, Mapping):
            _add(found, path, Kind.TYPE, parent)
            return
        tag = value.get(name)
        choice = choices.get(tag) if isinstance(tag, str | int) else None
        if choice is not None:
            self.at(choice, value, path, parent, found)
        else:
            _add(found, below(path, name_of(name)), Kind.VALUE if name in value else Kind.MISSING, path)

    def _nearest(self, choices: tuple[Reads, ...], value: object, path: str, parent: str, found: Found) -> None:
        """What differs from the choice that fits best: the first with the fewest differences that it does not allow."""
        best: Found | None = None
        rank = (0, 0)
        for choice in choices:
            some: Found = {}
            self.at(choice, value, path, parent, some)
            mine = (sum(each.holds for each in some.values()), len(some))
            if best is None or mine < rank:
                best, rank = some, mine
            if not some:
                return
        for key, each in (best or {}).items():
            found.setdefault(key, each)

    def _own(self, reads: Reads, value: object, path: str, parent: str, found: Found) -> None:
        """The team's code gets the value first and may change it: only fields that nobody names can be told."""
        plain = Reads(reads.kinds)
        for slot in ("nothing", "values", "fields", "keys", "rest", "forbids", "items", "choices", "tag"):
            setattr(plain, slot, getattr(reads, slot))
        some: Found = {}
        self.at(plain, value, path, parent, some)
        for key, each in some.items():
            if each.kind is Kind.UNKNOWN:
                found.setdefault(key, each)


def _allows_nothing(reads: Reads) -> bool:
    return reads.nothing or any(each.nothing for each in reads.choices)


def _missing(found: Found, field: Field, path: str) -> None:
    allowed = field.optional or (not field.required and _allows_nothing(field.reads))
    _add(found, below(path, name_of(field.keys[0])), Kind.MISSING, path, allowed=allowed)


def _add(found: Found, path: str, kind: Kind, parent: str, *, allowed: bool = False, own: bool = True) -> None:
    if len(found) < MAX_FINDINGS:
        found.setdefault((path or WHOLE, kind), Finding(path or WHOLE, kind, parent, allowed, own))
