"""One handler as data: what it hears, says and undoes, and at which pace it runs."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hocket.breaker import Breaker
from hocket.declarations.versions import UpcastPath
from hocket.event import Event, Heard
from hocket.retry import Retry

#: A handler's time for one attempt where it names none.
HANDLER_TIMEOUT = timedelta(seconds=60)
#: Attempts of one handler at work at once, where it names none; the most that it may name of them; and the most that it
#: may name of deliveries before the first of them is settled (a quorum queue hands over no more than 2,000).
CONCURRENCY = 32
MAX_CONCURRENCY = 1000
MAX_PREFETCH = 2000
EventName = tuple[str, int]  # (type, version)


@dataclass(frozen=True, slots=True)
class Undo:
    """What a step's undo takes: `did` of what the step said, and the failures that call for it."""

    step: str  # queue name of the step: `payments.charge`
    did: type[Event]
    many: bool  # the step returns a list: the undo gets all of them
    by: tuple[str, ...]  # fields of input and failure that make the scope; (): the subject
    why: tuple[type[Heard], ...]  # failures, bound to the queue
    spoken: tuple[type[Event], ...] = ()  # what the step's on_dead says: a why that is never bound
    identity: str = ""  # of the step


@dataclass(slots=True)
class Subscription:
    """One handler of one service, with a queue of its own."""

    service: str
    name: str
    call: Callable[..., Awaitable[Any]]
    heard: tuple[type[Heard], ...]  # of an undo: the step's input
    says: tuple[type[Event], ...]
    scheduled: tuple[type[Event], ...]  # said later, by `Scheduled`
    retry: Retry
    breaker: Breaker | None = None
    timeout: timedelta = HANDLER_TIMEOUT
    idempotent: bool = False
    concurrency: int = CONCURRENCY
    prefetch: int | None = None  # None: `HOCKET_PREFETCH`, and never fewer than concurrency
    undo: Undo | None = None  # this subscription *is* the undo of a step
    undone_by: "Subscription | None" = None  # this subscription is a step
    on_dead: Callable[..., Event] | None = None
    on_dead_says: tuple[type[Event], ...] = ()
    former: tuple[str, ...] = ()  # names it had, the oldest first
    upcast_paths: dict[EventName, UpcastPath] = field(default_factory=dict)  # every version that is read here
    results: dict[EventName, UpcastPath] = field(
        default_factory=dict
    )  # of an undo: the versions of what its step has said

    @property
    def identity(self) -> str:
        """The queue's first name, from which keys are made: a renaming changes none (RULES 2.4)."""
        return f"{self.service}.{self.former[0]}" if self.former else self.queue

    @property
    def former_queues(self) -> tuple[str, ...]:
        """The queues of its former names."""
        return tuple(f"{self.service}.{name}" for name in self.former)

    @property
    def queue(self) -> str:
        """The queue's name: `SERVICE.HANDLER`."""
        return f"{self.service}.{self.name}"

    @property
    def bound(self) -> tuple[EventName, ...]:
        """The types and versions its queue is bound to."""
        wanted = self.undo.why if self.undo else self.heard
        return tuple(name for name, road in self.upcast_paths.items() if road.gives in wanted)

    def road_of(self, type: str, version: int) -> UpcastPath | None:
        """How this type and version is read here; None: nobody does."""
        return self.upcast_paths.get((type, version))


def name_of(model: type[Heard]) -> EventName:
    """(type, version) of an event class."""
    return model.__hocket_type__, model.__hocket_version__
