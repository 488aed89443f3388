"""What decides about a flow and stands in no fact of it: other flows' failures, retry budgets, the moment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hocket.console.facts import Receipt


@dataclass(frozen=True, slots=True)
class Beyond:
    """What is known beyond a flow's own facts; by itself it knows nothing."""

    #: Of other flows: of failures that found a step run of this one, and of what is about a time-out of this one.
    reached_by: Sequence[Receipt] = ()
    budgets: Mapping[str, float] = field(default_factory=dict)  # seconds of all attempts and waits, by subscription
    now: datetime | None = None  # None: no undo is late
