"""How an attempt ends, as a value: decided in delivery/decide.py, acted on in delivery/record.py."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any


class Word(StrEnum):
    """How one attempt ended, as the receipt names it (docs/words.md#how-an-attempt-ends)."""

    HANDLED = "handled"
    RETRY = "retry"
    DEFERRED = "deferred"
    DEAD = "dead"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    OBSOLETE = "obsolete"
    STALE = "stale"


@dataclass(frozen=True, slots=True)
class Done:
    """The handler returned; `said` are the events and schedules it returned, in order."""

    said: Sequence[Any] = ()


@dataclass(frozen=True, slots=True)
class Again:
    """Another run `wait` after the commit. A `deferred` one uses no attempt; otherwise `error` says what failed."""

    wait: timedelta
    deferred: bool = False
    cause: str = ""
    error: str = ""
    trace: str = ""
    probes: int = 0  # failed probes of this delivery so far, this one included (RULES 6.1)


@dataclass(frozen=True, slots=True)
class Bury:
    """Given up: `cause` is the kind of the failure, `error` its text, `trace` the shortened stack.

    `began` is true when a run of the handler had begun (RULES 5.5); only then the ledger row becomes unsure and
    `on_dead` is called. `row` is false for causes that touch neither inbox nor ledger.
    """

    cause: str
    error: str = ""
    trace: str = ""
    began: bool = False
    row: bool = True


@dataclass(frozen=True, slots=True)
class Seen:
    """The inbox has this event already; `first` is how it ended then."""

    first: str = "handled"
    said: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The flow failed before this step began: the ledger has a tombstone."""


@dataclass(frozen=True, slots=True)
class Obsolete:
    """A replay of a delivery that was undone, or whose `on_dead` has said its event."""


@dataclass(frozen=True, slots=True)
class Stale:
    """A greater value of its subject was handled already: final, without a run (RULES 15.1)."""


@dataclass(frozen=True, slots=True)
class GiveBack:
    """Interrupted by a stop: the delivery returns to the broker, and nothing is recorded."""


Outcome = Done | Again | Bury | Seen | Refused | Obsolete | Stale | GiveBack


@dataclass(frozen=True, slots=True)
class Attempt:
    """One entry of an inbox row's history: when the attempt ran and how it ended; `trace` is shortened."""

    attempt: int
    began: str
    ended: str
    word: str
    cause: str = ""
    error: str = ""
    trace: str = field(default="", repr=False)
    probes: int = 0  # failed probes of the delivery so far that have used no attempt


def words_beside(cause: str, error: str) -> str:
    """An error's text as it stands beside its cause, which it does not repeat; "" where it says nothing more."""
    return "" if error.rstrip(": ") == cause else error.removeprefix(f"{cause}: ")


def with_cause(cause: str, error: str) -> str:
    """Cause and text of an error in one line, each once: `ValueError: no price`, `rejected: sold out`."""
    words = words_beside(cause, error)
    return f"{cause}: {words}" if words else cause
