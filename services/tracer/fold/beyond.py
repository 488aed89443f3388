"""What decides about a flow and stands in no fact of it: other flows' failures, retry budgets, the moment. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from hocket.console.facts import Receipt


@dataclass(frozen=True, slots=True)
class Beyond:
    """What is known beyond a flow's own facts; by itself it knows nothing."""

    reached_by: Sequence[Receipt] = ()  # of failures that were said in other flows and found a step run of this one
    budgets: Mapping[str, float] = field(default_factory=dict)  # seconds of all attempts and waits, by subscription
    now: datetime | None = None  # None: no undo is late
