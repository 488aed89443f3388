"""All declarations: who says, hears, undoes. Read from signatures once, at import; then data. Pure."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from hocket.breaker import Breaker
from hocket.event import Event, Heard
from hocket.retry import Retry

#: A handler's time for one attempt where it names none.
HANDLER_TIMEOUT = timedelta(seconds=60)

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
    undo: Undo | None = None  # this subscription *is* the undo of a step
    undone_by: "Subscription | None" = None  # this subscription is a step
    on_dead: Callable[..., Event] | None = None
    on_dead_says: tuple[type[Event], ...] = ()

    @property
    def queue(self) -> str:
        """The queue's name: `SERVICE.HANDLER`."""
        return f"{self.service}.{self.name}"

    @property
    def bound(self) -> tuple[EventName, ...]:
        """The types and versions its queue is bound to."""
        return tuple(name_of(model) for model in (self.undo.why if self.undo else self.heard))

    def model_of(self, type: str, version: int) -> type[Heard] | None:
        """The model that reads this type and version here; None: nobody does."""
        for model in self.undo.why if self.undo else self.heard:
            if name_of(model) == (type, version):
                return model
        return None


def name_of(model: type[Heard]) -> EventName:
    """(type, version) of an event class."""
    return model.__hocket_type__, model.__hocket_version__


@dataclass(slots=True)
class Declarations:
    """Everything one service declares."""

    service: str
    owner: str
    subscriptions: dict[str, Subscription] = field(default_factory=dict)  # by queue
    says: dict[EventName, type[Event]] = field(default_factory=dict)  # also outside handlers

    def manifest(self) -> dict[str, object]:
        """What the service reports of itself (docs/house.md, Receipts), without instance and time."""
        sensitive: dict[str, list[str]] = {}
        models: list[type[Heard]] = list(self.says.values())
        for each in self.subscriptions.values():
            models += [*each.heard, *(each.undo.why if each.undo else ())]
        for model in models:
            if model.__hocket_sensitive__:
                name, version = name_of(model)
                known = sensitive.setdefault(f"{name}/{version}", [])
                known.extend(f for f in model.__hocket_sensitive__ if f not in known)
        return {
            "service": self.service,
            "owner": self.owner,
            "subscriptions": [_describe(each) for each in self.subscriptions.values()],
            "says": [list(name) for name in self.says],
            "sensitive": sensitive,
        }


def _describe(subscription: Subscription) -> dict[str, object]:
    undo = subscription.undo
    return {
        "name": subscription.queue,
        "hears": [list(name_of(model)) for model in subscription.heard],
        "says": [list(name_of(model)) for model in subscription.says],
        "scheduled": [list(name_of(model)) for model in subscription.scheduled],
        "undo_of": undo.step if undo else None,
        "why": [list(name_of(model)) for model in undo.why] if undo else [],
        "on_dead": [list(name_of(model)) for model in subscription.on_dead_says],
        "breaker": subscription.breaker.name if subscription.breaker else None,
        "attempts": subscription.retry.attempts,
    }


def by_queue(*declared: Declarations) -> Mapping[str, Subscription]:
    """All subscriptions of several services by queue name."""
    return {queue: each for one in declared for queue, each in one.subscriptions.items()}
