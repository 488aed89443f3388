"""The words of drift: its kinds, what a declaration may ask for, and one difference that was found. Pure."""

from enum import StrEnum
from typing import Literal, NamedTuple

#: What a declaration asks for: count; count and warn; keep what differs out before it runs (RULES 16.4).
Mode = Literal["accept", "warn", "quarantine"]
MODES: tuple[Mode, ...] = ("accept", "warn", "quarantine")


class Kind(StrEnum):
    """How a place differs from what the model reads there."""

    UNKNOWN = "unknown"  # a field that the model does not read
    MISSING = "missing"  # a field that the model reads is not there
    NULL = "null"  # null where the model reads a value
    TYPE = "type"  # another type of JSON, which was converted or refused
    VALUE = "value"  # none of the values that are declared


class Finding(NamedTuple):
    """One difference, by its path; it never holds a value."""

    path: str
    kind: Kind
    parent: str = ""  # the path of the object in which the field stands, or is missing; "": the whole
    allowed: bool = False  # the annotation allows None there, so that null or nothing is what it says
    own: bool = False  # the field's name is shown as it came, and not as `"…"`

    @property
    def by_name(self) -> bool:
        """Whether the names of the fields of the whole alone decide it."""
        return not self.parent and self.kind in _BY_NAME

    @property
    def holds(self) -> bool:
        """Whether `quarantine` keeps the event: all kinds but `unknown`, and what the annotation allows."""
        return self.kind is not Kind.UNKNOWN and not self.allowed


_BY_NAME = frozenset({Kind.UNKNOWN, Kind.MISSING})
