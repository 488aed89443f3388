"""Signals: the named moments that the kit reports, and the base class of what listens: metrics, traces, logs.

| moment | when |
|---|---|
| `attempts` | a group of attempts was committed, or settled without a commit |
| `published` | the broker answered for a group of outbox rows |
| `breaker` | a breaker changed its state |
| `link` | the connection to the broker was made or lost, or is lost for another reason |
| `readiness` | the service became ready, or is not ready for a reason of its own |
| `sampled` | once a second: what waits |
| `command` | a request of a command was answered |
| `drifted` | once a minute: how many differences of a kind were found in events of a type (RULES 16) |
| `trouble` | a fault was recovered from, or something was given up |
| `listener_failed` | a listener has raised an error |
| `processing` | around one run of a handler: returns a context manager |
| `saying` | an event is about to be said: returns the traceparent of its publish span |
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple

from hocket.outcome import Word


class Ended(NamedTuple):
    """One attempt that has ended. Times are seconds since 1970."""

    service: str
    subscription: str
    type: str
    event_id: str
    correlation_id: str
    attempt: int
    word: Word
    began: float
    ended: float
    said_at: float  # the event's time; `ended - said_at` is its age
    cause: str = ""
    error: str = ""
    trace: str = ""
    subject: str = ""
    again_in: float | None = None  # seconds until the next attempt; None where there is none
    timer: str = ""  # what it did to a time-out: armed, met, mark, fired or late
    reached: bool = True  # False: a failure that found no run of its step (RULES 5.3)
    asks: str = ""  # of a dead letter: `zombie` or `open letter` (RULES 5.8); "": its `on_dead` said what follows
    letter: str = ""  # id of the dead letter that it became


class Sent(NamedTuple):
    """The broker's answer for one outbox row."""

    service: str
    kind: str
    type: str
    verdict: str
    waited: float  # seconds from due to answer


class BackfillSample(NamedTuple):
    """How the backfill of one subscription stands. Offsets are those of the log."""

    phase: str  # reading, paused, failed or live
    next: int
    end: int  # 0: not known
    per_second: float
    eta: float | None  # seconds; None: not known


@dataclass(frozen=True, slots=True)
class Sample:
    """What waits in one service at one moment."""

    service: str
    outbox_events: int
    outbox_receipts: int
    outbox_later: int
    outbox_refused: int
    outbox_oldest: float  # seconds
    in_hand: dict[str, int] = field(default_factory=dict)  # deliveries by subscription
    shed_receipts: int = 0
    timers_armed: int = 0
    timers_late: float = 0.0  # seconds since the oldest time-out was due that was not called yet
    behind: Mapping[str, float] = field(default_factory=dict)  # seconds by generation of a projection
    blocked: dict[str, tuple[int, float]] = field(default_factory=dict)  # of ordered ones: subjects, age of the oldest
    backfills: Mapping[str, BackfillSample] = field(default_factory=dict)  # that this process reads, by subscription


class Processing(NamedTuple):
    """One run of a handler, for its process span."""

    service: str
    subscription: str
    type: str
    event_id: str
    correlation_id: str
    attempt: int
    traceparent: str  # of the publish span, else of the flow, else ""
    causation_id: str = ""
    subject: str = ""


class Saying(NamedTuple):
    """One event to be published, for its publish span."""

    service: str
    type: str
    event_id: str
    correlation_id: str
    routing_key: str
    traceparent: str  # of the flow so far, else ""


#: The run of a handler that this code is part of; None outside of one.
running: ContextVar[Processing | None] = ContextVar("hocket_running_handler", default=None)


class Pushed(NamedTuple):
    """One push of a webhook has ended (RULES 12)."""

    service: str
    source: str  # "": no webhook of that name
    end: str
    secret: int  # position of the secret that matched, from 1; 0: none
    skew: float | None  # seconds by which our clock is ahead of the signed timestamp; None: there is none


class Listener:
    """Base class of listeners: each method does nothing unless overridden.

    What a method raises harms nobody: it is passed to `listener_failed` of the listeners, and the service goes on.
    """

    def attempts(self, ended: Sequence[Ended]) -> None:
        """A group of attempts was committed, or settled without a commit."""

    def published(self, sent: Sequence[Sent]) -> None:
        """The broker answered for a group of outbox rows."""

    def breaker(self, service: str, name: str, state: str, reason: str = "") -> None:
        """A breaker is now closed, half-open, open or held; `reason` names what failed last, or who did it and why."""

    def link(self, service: str, ready: bool, reason: str) -> None:
        """The connection to the broker was made, or lost for this reason; it is "" while no attempt has failed yet.

        Where it was made, `reason` is the address, without password.
        """

    def readiness(self, service: str, reason: str) -> None:
        """The service became ready (""), or is not ready for this reason; reasons of the link come by `link`."""

    def generation(self, service: str, projection: str, n: int, state: str) -> None:
        """A generation of a projection is now serving, old, dropped or gone."""

    def sampled(self, sample: Sample) -> None:
        """Once a second."""

    def drifted(self, service: str, subscription: str, type: str, kind: str, many: int) -> None:
        """So many more differences of this kind were found in events of this type, once a minute."""

    def pushed(self, push: Pushed) -> None:
        """A webhook was answered."""

    def webhooks_kept(self, service: str, kept: Mapping[str, int]) -> None:
        """Every few seconds: how many webhooks of each source are kept and wait for a person."""

    def command(self, service: str, route: str, end: str) -> None:
        """A request of a command was answered; `end` is how (docs/wire.md#metrics)."""

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """A fault was recovered from, or something was given up. `what` is a constant text, `about` the details."""

    def listener_failed(self, listener: str, moment: str, cause: str) -> None:
        """The method `moment` of a `listener` has raised an error of class `cause`; called each time."""

    def processing(self, run: Processing) -> AbstractContextManager[str] | None:
        """A context around one run of a handler. It yields the traceparent of its span, or ""."""
        return None

    def saying(self, event: Saying) -> str:
        """The traceparent of this event's publish span, or ""."""
        return ""


class Signals(Listener):
    """Passes each moment to its listeners, in order. One that raises takes nothing from the others, nor from a run."""

    def __init__(self, listeners: Sequence[Listener] = ()) -> None:
        self._listeners = tuple(listeners)
        self._around = tuple(each for each in listeners if type(each).processing is not Listener.processing)
        self._saying = tuple(each for each in listeners if type(each).saying is not Listener.saying)

    def attempts(self, ended: Sequence[Ended]) -> None:
        """A group of attempts was committed, or settled without a commit."""
        for listener in self._listeners:
            try:
                listener.attempts(ended)
            except Exception as error:  # noqa: BLE001 -- a listener may raise anything
                self._failed(listener, "attempts", error)

    def published(self, sent: Sequence[Sent]) -> None:
        """The broker answered for a group of outbox rows."""
        for listener in self._listeners:
            try:
                listener.published(sent)
            except Exception as error:  # noqa: BLE001 -- as above
                self._failed(listener, "published", error)

    def breaker(self, service: str, name: str, state: str, reason: str = "") -> None:
        """A breaker is now closed, half-open, open or held."""
        self._each("breaker", lambda listener: listener.breaker(service, name, state, reason))

    def link(self, service: str, ready: bool, reason: str) -> None:
        """The connection to the broker was made or lost."""
        self._each("link", lambda listener: listener.link(service, ready, reason))

    def readiness(self, service: str, reason: str) -> None:
        """The service became ready, or is not ready for this reason."""
        self._each("readiness", lambda listener: listener.readiness(service, reason))

    def generation(self, service: str, projection: str, n: int, state: str) -> None:
        """A generation of a projection is in this state now."""
        self._each("generation", lambda listener: listener.generation(service, projection, n, state))

    def sampled(self, sample: Sample) -> None:
        """Once a second."""
        self._each("sampled", lambda listener: listener.sampled(sample))

    def drifted(self, service: str, subscription: str, type: str, kind: str, many: int) -> None:
        """So many more differences of this kind were found in events of this type."""
        self._each("drifted", lambda listener: listener.drifted(service, subscription, type, kind, many))

    def pushed(self, push: Pushed) -> None:
        """A webhook was answered."""
        self._each("pushed", lambda listener: listener.pushed(push))

    def webhooks_kept(self, service: str, kept: Mapping[str, int]) -> None:
        """How many webhooks of each source are kept."""
        self._each("webhooks_kept", lambda listener: listener.webhooks_kept(service, kept))

    def command(self, service: str, route: str, end: str) -> None:
        """A request of a command was answered."""
        self._each("command", lambda listener: listener.command(service, route, end))

    def trouble(self, service: str, what: str, **about: str | int | float) -> None:
        """A fault was recovered from, or something was given up."""
        self._each("trouble", lambda listener: listener.trouble(service, what, **about))

    def around(self, run: Processing) -> AbstractContextManager[str]:
        """The contexts of all listeners around one run; within, `running` is this run.

        It yields the first traceparent that a listener gives.
        """
        return _Within(run, self._all_around(run) if self._around else None)

    @contextmanager
    def _all_around(self, run: Processing) -> Iterator[str]:
        traceparent = ""
        entered: list[tuple[Listener, AbstractContextManager[str]]] = []
        for listener in self._around:
            try:
                if (context := listener.processing(run)) is not None:
                    given = context.__enter__()
                    entered.append((listener, context))
                    traceparent = traceparent or given
            except Exception as error:  # noqa: BLE001 -- as above
                self._failed(listener, "processing", error)
        try:
            yield traceparent
        except BaseException as error:
            self._leave(entered, error)
            raise
        self._leave(entered, None)

    def _leave(
        self, entered: Sequence[tuple[Listener, AbstractContextManager[str]]], error: BaseException | None
    ) -> None:
        """End the contexts, the last one first. None of them can replace or suppress the error of the run."""
        for listener, context in reversed(entered):
            try:
                context.__exit__(type(error) if error else None, error, error.__traceback__ if error else None)
            except BaseException as raised:  # noqa: BLE001 -- as above, also the run's own error again
                if raised is not error:
                    self._failed(listener, "processing", raised)

    def saying(self, event: Saying) -> str:
        """The first traceparent that a listener gives, else that of the flow."""
        for listener in self._saying:
            try:
                if traceparent := listener.saying(event):
                    return traceparent
            except Exception as error:  # noqa: BLE001 -- as above
                self._failed(listener, "saying", error)
        return event.traceparent

    def _each(self, moment: str, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception as error:  # noqa: BLE001 -- as above
                self._failed(listener, moment, error)

    def _failed(self, failed: Listener, moment: str, error: BaseException) -> None:
        for listener in self._listeners:
            with suppress(Exception):
                listener.listener_failed(type(failed).__name__, moment, type(error).__name__)


class _Within(AbstractContextManager[str]):
    """One run of a handler: `running` is set, and the listeners' contexts are entered."""

    __slots__ = ("_inner", "_run", "_token")

    def __init__(self, run: Processing, inner: AbstractContextManager[str] | None) -> None:
        self._run = run
        self._inner = inner
        self._token: Token[Processing | None] | None = None

    def __enter__(self) -> str:
        self._token = running.set(self._run)
        try:
            return "" if self._inner is None else self._inner.__enter__()
        except BaseException:
            running.reset(self._token)
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        try:
            return None if self._inner is None else self._inner.__exit__(kind, error, trace)
        finally:
            assert self._token is not None
            running.reset(self._token)


class Tracing(Listener):
    """A listener that sends spans, and must send the last ones when the process stops."""

    def close(self) -> None:
        """Send the remaining spans, within a bound, and stop. It blocks: call it in a thread."""
