"""One handler as data: what it hears, says and undoes, and how it runs: retry, breaker, timeout, concurrency."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import Table

from hocket.breaker import Breaker
from hocket.broker.topology import history_queue
from hocket.declarations.answer import Answer
from hocket.declarations.ordering.option import SUFFIX, Ordered
from hocket.declarations.versions import UpcastPath
from hocket.drift.kinds import Mode
from hocket.event import Event, Heard
from hocket.retry import Retry

#: Time for one attempt of a handler that names none.
HANDLER_TIMEOUT = timedelta(seconds=60)
#: Attempts of one handler that run at once, where it names no number; the highest number that it may name; and the
#: highest number of unsettled deliveries that it may name (a quorum queue allows 2,000).
CONCURRENCY = 32
MAX_CONCURRENCY = 1000
MAX_PREFETCH = 2000
EventName = tuple[str, int]  # (type, version)
#: What becomes of an answer that comes after a time-out has fired (RULES 5.7).
Late = Literal["undone", "accepted"]
#: From where on a new subscription hears what was said before it (RULES 7.5).
Since = Literal["first"] | datetime


@dataclass(frozen=True, slots=True)
class Undo:
    """What makes a subscription the undo of a step."""

    step: str  # queue name of the step: `payments.charge`
    did: type[Event]  # of what the step says, what the undo gets
    many: bool  # the step returns a list: the undo gets all of its `did`
    by: tuple[str, ...]  # fields of input and failure that make the scope; (): the subject
    why: tuple[type[Heard], ...]  # failures that are bound to the queue
    spoken: tuple[type[Event], ...] = ()  # failures that the step's own on_dead says
    identity: str = ""  # `Subscription.identity` of the step
    across: bool = False  # failures of the scope reach the step from every flow (RULES 5.1)
    remember: timedelta | None = None  # how long done and unsure runs are kept; None: as long as the ledger (RULES 5.4)
    secret: bool = False  # the scope has a Sensitive field: its key alone is stored (RULES 5.4)


@dataclass(frozen=True, slots=True)
class Overdue:
    """What makes a subscription a time-out (RULES 5.7)."""

    within: timedelta  # from the arming to the moment at which it is due
    unless: tuple[type[Heard], ...]  # what answers it
    by: tuple[str, ...] = ()  # fields of what arms and of what answers that make the scope; (): the subject
    across: bool = False  # one for a scope in all flows
    late: Late = "undone"
    secret: bool = False  # the scope has a Sensitive field: its key alone is stored (RULES 5.4)


@dataclass(frozen=True, slots=True)
class Projected:
    """What makes a subscription a generation of a projection (RULES 14.1)."""

    name: str
    version: int
    tables: tuple[Table, ...]  # as they are declared; those of a generation are `generation_table`
    n: int = 0  # the number of the generation; 0: the declaration, of which generations are made
    seed: Callable[..., Awaitable[None]] | None = None


@dataclass(frozen=True, slots=True)
class LatestBy:
    """The field that grows, and the kind of its values (RULES 15.1)."""

    field: str
    kind: str

    @property
    def kept(self) -> str:
        """A value that was stored under another name is not compared: it would be of another field or kind."""
        return f"{self.field} {self.kind}"


@dataclass(slots=True)
class Subscription:
    """One handler of one service, with its own queue."""

    service: str
    name: str
    call: Callable[..., Awaitable[Any]]
    heard: tuple[type[Heard], ...]  # an undo: the step's input
    says: tuple[type[Event], ...]
    scheduled: tuple[type[Event], ...]  # said later, by `Scheduled`
    answer: Answer  # what the handler may return
    retry: Retry
    breaker: Breaker | None = None
    timeout: timedelta = HANDLER_TIMEOUT
    idempotent: bool = False
    ordered: Ordered = False  # one run of a subject at a time, in order (RULES 9)
    concurrency: int = CONCURRENCY
    prefetch: int | None = None  # None: `HOCKET_PREFETCH`, and never fewer than concurrency
    drift: Mode = "warn"
    undo: Undo | None = None  # this subscription *is* the undo of a step
    undone_by: "Subscription | None" = None  # this subscription is a step
    overdue: Overdue | None = None  # this subscription is a time-out: what it hears arms it
    projected: Projected | None = None  # this subscription is a generation of a projection
    on_dead: Callable[..., Event] | None = None
    on_dead_says: tuple[type[Event], ...] = ()
    allow: Mapping[str, str] = field(default_factory=dict)  # reasons by code of a finding (docs/checks.md)
    on_dead_allow: Mapping[str, str] = field(default_factory=dict)  # the same, of `on_dead`
    former: tuple[str, ...] = ()  # former names, the oldest first
    latest_by: LatestBy | None = None  # an older value of this field ends stale (RULES 15.1)
    after: "Subscription | None" = None  # it waits for this handler of the same subject (RULES 15.4)
    within: timedelta = timedelta(0)  # at most so long
    followed: bool = False  # another handler waits for this one
    since: Since | None = None  # a new subscription hears history from there on (RULES 7.5)
    side_effects: bool = False  # it may say events and call outside also while it reads history
    upcast_paths: dict[EventName, UpcastPath] = field(default_factory=dict)  # every version that it reads
    results: dict[EventName, UpcastPath] = field(default_factory=dict)  # an undo: every version of `did` that it reads
    queue: str = field(init=False)  # the queue's name: `SERVICE.HANDLER`, of an ordered one `SERVICE.HANDLER.ordered`
    #: The queue's first name. Keys are derived from it, so that renaming a handler changes none (RULES 2.4).
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        plain = f"{self.service}.{self.name}"
        self.queue = f"{plain}{SUFFIX}" if self.ordered else plain  # each delivery asks for them several times
        self.identity = f"{self.service}.{self.former[0]}" if self.former else plain

    @property
    def former_queues(self) -> tuple[str, ...]:
        """The queues of the former names; of an ordered one also the queue that it had before it was ordered."""
        plain = tuple(f"{self.service}.{name}" for name in self.former)
        if not self.ordered:
            return plain
        return (*plain, *(f"{name}{SUFFIX}" for name in plain), f"{self.service}.{self.name}")

    @property
    def history_queue(self) -> str:
        """The queue of what is tried again of its history: its own is not consumed until the cut-over (RULES 7.5 c)."""
        return history_queue(self.queue)

    @property
    def wanted(self) -> tuple[type[Heard], ...]:
        """What a handler hears; what arms and what answers a time-out."""
        return self.heard if self.overdue is None else tuple(dict.fromkeys((*self.heard, *self.overdue.unless)))

    @property
    def bound(self) -> tuple[EventName, ...]:
        """The types and versions its queue is bound to."""
        wanted = self.undo.why if self.undo else self.wanted
        return tuple(name for name, path in self.upcast_paths.items() if path.gives in wanted)

    def upcast_path(self, type: str, version: int) -> UpcastPath | None:
        """How this type and version is read; None: it is not."""
        return self.upcast_paths.get((type, version))


def name_of(model: type[Heard]) -> EventName:
    """(type, version) of an event class."""
    return model.__hocket_type__, model.__hocket_version__
