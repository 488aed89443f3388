"""The fact in which a service tells how what it hears drifts, and its words (RULES 16.3). Pure."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from hocket.console.fact_types import Fact, Moment, Name, Number, check_findable
from hocket.drift.counting import MAX_PATHS, MAX_SIBLINGS
from hocket.drift.kinds import Kind
from hocket.drift.paths import ANY, MAX_PATH_CHARS, below, parent_of
from hocket.drift.sentences import began
from hocket.drift.tally import MARKS

__all__ = ["ANY", "Drifted", "DriftedPath", "Kind", "Sighting", "began", "below", "parent_of"]

#: Most events that one boot can have counted.
Count = Annotated[int, Field(ge=0, le=2**62)]


class Sighting(Fact):
    """An event, and when it came."""

    time: Moment
    id: Name = ""


class DriftedPath(Fact):
    """How often one path had one kind."""

    path: Annotated[str, Field(max_length=MAX_PATH_CHARS, pattern=r"^[^\x00]*$")]
    kind: Name
    first: Sighting
    last: Sighting
    many: Count = 1
    deep: bool = False  # counted by deep looks, at least in part: it may be in more events
    holds: bool = False  # `quarantine` keeps such events out


class Drifted(Fact):
    """What one boot has counted so far of one source, type and version at one subscription."""

    kind: Literal["drift"]
    service: Name
    subscription: Name
    time: Moment
    first: Moment
    last: Moment
    boot: Name = ""
    source: Name = ""
    type: Name = ""
    version: Number = 1
    model: Name = ""
    mode: Name = "warn"
    events: Count = 0
    looked: Count = 0
    more: Count = 0
    marks: Annotated[tuple[tuple[Count, Moment], ...], Field(max_length=len(MARKS))] = ()
    paths: Annotated[tuple[DriftedPath, ...], Field(max_length=MAX_PATHS + MAX_SIBLINGS)] = ()

    @model_validator(mode="after")
    def _is_findable(self) -> Self:
        check_findable(self.subscription, self.source, self.type, self.boot, self.model)
        return self
