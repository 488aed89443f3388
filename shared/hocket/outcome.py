"""How an attempt ends: a value, decided in one place (delivery/decide.py) and acted on in one (delivery/record.py)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class Word(StrEnum):
    """The receipt's word for how one attempt ended (docs/words.md#how-an-attempt-ends)."""

    HANDLED = "handled"
    RETRY = "retry"
    DEFERRED = "deferred"
    DEAD = "dead"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    OBSOLETE = "obsolete"


@dataclass(frozen=True, slots=True)
class Done:
    """The handler returned; `said` are the events and schedules it returned, in order."""

    said: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """Another run at `at`; `deferred` costs no attempt, otherwise `error` says what failed."""

    at: datetime
    deferred: bool = False
    cause: str = ""
    error: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class Bury:
    """Given up: `cause` is the kind of the failure, `error` its text, `trace` the cut stack.

    `began` is true when a run of the handler had begun (RULES 5.5): only then the ledger becomes unsure and `on_dead`
    speaks. `row` is false for causes that touch neither inbox nor ledger.
    """

    cause: str
    error: str = ""
    trace: str = ""
    began: bool = False
    row: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """The inbox knows it; `first` is how it ended then."""

    first: str = "handled"
    said: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """Its flow failed before it began (a tombstone lay there)."""


@dataclass(frozen=True, slots=True)
class Obsolete:
    """A replay of what has spoken or is undone."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Interrupted by a stop: back to the broker, nothing recorded."""


Outcome = Done | Again | Bury | Seen | Refused | Obsolete | GiveBack


@dataclass(frozen=True, slots=True)
class Attempt:
    """One line of an inbox row's history: when it ran and what came of it; `trace` is cut."""

    attempt: int
    began: str
    ended: str
    word: str
    cause: str = ""
    error: str = ""
    trace: str = field(default="", repr=False)
