"""What a handler may return by its annotation, and what is wrong with what it returned. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from hocket.event import Event, Scheduled

#: Elements of a returned list that an error names.
SHOWN = 5


class Place(NamedTuple):
    """What may stand in one place: these events, these scheduled ones, or None."""

    says: frozenset[type[Event]]
    scheduled: frozenset[type[Event]]
    none: bool

    def takes(self, value: object) -> bool:
        """Whether this value may stand here."""
        if value is None:
            return self.none
        if isinstance(value, Scheduled):
            return type(value.event) in self.scheduled
        return type(value) in self.says


@dataclass(frozen=True, slots=True)
class Answer:
    """What a return annotation allows: a value alone, lists of any length, tuples of one length."""

    text: str  # the annotation, as an error shows it
    alone: Place
    lists: tuple[Place, ...]
    tuples: tuple[tuple[Place, ...], ...]

    def fault(self, value: object) -> str:
        """What is wrong with a returned value; "" where the annotation allows it."""
        if self._allows(value):
            return ""
        if value is None:
            return f"returned None, but its annotation says {self.text}: return that, or write -> {self.text} | None"
        return f"returned {_shown(value)}, but its annotation says {self.text}: return that, or change the annotation"

    def _allows(self, value: object) -> bool:
        if self.alone.takes(value):
            return True
        if not isinstance(value, Sequence):
            return False
        return any(all(place.takes(each) for each in value) for place in self.lists) or any(
            len(value) == len(places) and all(place.takes(each) for place, each in zip(places, value, strict=True))
            for places in self.tuples
        )


def _shown(value: object) -> str:
    """The classes of a value, never what is in it."""
    if isinstance(value, Scheduled):
        return f"Scheduled[{_shown(value.event)}]"
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return f"{type(value).__name__}[{', '.join(_several(value))}]"
    return "None" if value is None else type(value).__name__


def _several(values: Sequence[object]) -> Iterator[str]:
    for each in values[:SHOWN]:
        yield _shown(each)
    if len(values) > SHOWN:
        yield f"… {len(values) - SHOWN} more"
