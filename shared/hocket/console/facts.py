"""Reads facts of the receipts stream (docs/wire.md#receipts), each validated when it is read. Pure.

Both consoles read by these models, so what one sets aside as invalid the other does too. An invalid fact does not
affect its neighbours.
"""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from hocket.console.drift_facts import Drifted
from hocket.console.fact_types import (
    MAX_NUMBER,
    MAX_SAID,
    EventName,
    Fact,
    Moment,
    Name,
    Number,
    Text,
    check_findable,
)
from hocket.console.webhook_facts import WebhookCounts, WebhookFact
from hocket.event_data.invalid_fields import invalid_fields


class About(Fact):
    """The event that an attempt was about."""

    id: Name = ""
    source: Name = ""
    type: Name = ""
    version: Number = 1


class Failing(Fact):
    """The failure by which a step was refused, as its tombstone keeps it (RULES 5.3)."""

    id: Name = ""
    source: Name = ""
    type: Name = ""
    correlationid: Name = ""


class Timing(Fact):
    """What an attempt did to a time-out (RULES 5.7)."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    state: Name = ""
    n: Number = 0
    run: Name = ""
    scope: Name = ""
    flow: Name = ""  # the flow that armed it last, where that is another
    due: Moment | None = None
    late: float | None = None  # seconds by which an answer was late
    kept: Name = Field("", alias="as")  # what becomes of a late answer: undone or accepted
    own: bool = False  # the time-out has said it itself

    @property
    def sentence(self) -> str:
        """For people."""
        if self.late is not None:
            return f"answers a time-out {self.late:.0f} s late, which is {self.kept or 'accepted'}"
        if self.own:
            return "said by the time-out itself, no answer"
        if self.state == "armed" and self.due is not None:
            return f"arms a time-out, due {self.due:%Y-%m-%d %H:%M:%S} UTC"
        return _TIMING.get(self.state, f"time-out {self.state}")


_TIMING = {
    "mark": "answers a time-out that is not armed yet",
    "met": "answers a time-out",
    "fired": "the time-out has fired",
    "void": "the time-out was answered or armed again: its alarm is void",
}


class Receipt(Fact):
    """How one attempt ended, or (`discarded`) that a person settled its dead letter at the desk."""

    kind: Literal["receipt"]
    service: Name
    subscription: Name
    outcome: Literal["handled", "retry", "deferred", "dead", "duplicate", "refused", "obsolete", "stale", "discarded"]
    time: Moment
    instance: Name = ""
    boot: Name = ""
    event: About = About()
    subject: Name = ""
    correlationid: Name = ""
    attempt: Number = 1
    began: Moment | None = None
    ended: Moment | None = None
    next_at: Moment | None = None
    said: Annotated[tuple[Name, ...], Field(max_length=MAX_SAID)] = ()
    death: Name = ""
    cause: Name = ""
    error: Text = ""
    ledger: Name = ""
    step: Name = ""
    run: Name = ""
    reached: Literal["none"] | Annotated[tuple[Name, ...], Field(max_length=MAX_SAID)] = ()  # of a failure: flows
    failure: Failing | None = None  # of `refused`: the failure that came first
    replay: Name = ""
    timer: Timing | None = None
    first: Name = ""  # of a duplicate: how it ended then
    redelivered: bool = False  # an earlier run of this attempt left no end: its process died or was stopped
    by: Name = ""  # of `discarded`: who did it
    reason: Text = ""  # of `discarded`: why

    @model_validator(mode="after")
    def _ischeck_findable(self) -> Self:
        about = (self.subscription, self.event.source, self.event.id)
        for names in ((self.subject, self.correlationid, self.boot), *((flow,) for flow in self.flows_concerned)):
            check_findable(*about, *names)
        return self

    @property
    def key(self) -> tuple[str, str, str, int, str, str, datetime]:
        """The identity of a receipt: two copies have the same key."""
        return (
            self.subscription, self.event.source, self.event.id, self.attempt, self.outcome, self.boot, self.time
        )  # fmt: skip

    @property
    def flows_reached(self) -> tuple[str, ...]:
        """The flows whose step run this failure found; none where it is no failure, or found no run."""
        return self.reached if isinstance(self.reached, tuple) else ()

    @property
    def flows_concerned(self) -> tuple[str, ...]:
        """Flows that it is about beside its own: that it reached, or whose time-out it answered or armed."""
        timed = self.timer.flow if self.timer is not None else ""
        return tuple(flow for flow in (*self.flows_reached, timed) if flow not in {"", self.correlationid})

    @property
    def begun(self) -> datetime:
        """When the attempt began; the receipt's own time where it does not say."""
        return self.began or self.time

    @property
    def over(self) -> datetime:
        """When the attempt ended; the receipt's own time where it does not say."""
        return self.ended or self.time


class Overdue(Fact):
    """What a manifest says of a time-out (RULES 5.7)."""

    within: float = Field(default=0.0, ge=0.0, le=MAX_NUMBER, allow_inf_nan=False)
    unless: tuple[EventName, ...] = ()
    across: bool = False
    late: Name = ""


class Declared(Fact):
    """One subscription of a manifest."""

    name: Name
    hears: tuple[EventName, ...] = ()
    says: tuple[EventName, ...] = ()
    scheduled: tuple[EventName, ...] = ()
    undo_of: Name = ""
    why: tuple[EventName, ...] = ()
    on_dead: tuple[EventName, ...] = ()
    breaker: Name = ""
    overdue: Overdue | None = None
    attempts: Number = 0
    #: Seconds that all attempts and the waits between them take; 0: not told.
    budget: float = Field(default=0.0, ge=0.0, le=MAX_NUMBER, allow_inf_nan=False)


class Manifest(Fact):
    """What a service declares of itself, at start and every hour."""

    kind: Literal["manifest"]
    service: Name
    time: Moment
    owner: Name = ""
    subscriptions: tuple[Declared, ...] = ()
    says: tuple[EventName, ...] = ()
    sensitive: dict[Name, tuple[Name, ...]] = Field(default_factory=dict)


class Breaking(Fact):
    """The state of one breaker, as a heartbeat reports it."""

    state: Name
    since: Moment | None = None
    until: Moment | None = None
    version: Number = 0  # of its row: one more at each change; 0: it has none
    reason: Text = ""
    by: Name = ""  # the person who did it
    width: Number = 0  # half-open: calls that may be out at once, of `ramp` at the end
    ramp: Number = 0
    out: Number = 0  # calls that are out
    ok: Number = 0  # verdicts of this step
    bad: Number = 0


class BreakerChange(Fact):
    """One change of a breaker's state, told once for all replicas (RULES 6.7)."""

    kind: Literal["breaker"]
    service: Name
    name: Name
    time: Moment
    state: Name
    was: Name = ""
    version: Number = 0
    until: Moment | None = None
    reason: Text = ""
    by: Name = ""
    untold: Number = 0  # changes before it that were not told: there were too many

    @model_validator(mode="after")
    def _ischeck_findable(self) -> Self:
        check_findable(self.service, self.name)
        return self

    @property
    def key(self) -> tuple[str, str, int, datetime]:
        """The identity of a change: two copies have the same key."""
        return self.service, self.name, self.version, self.time


class Heartbeat(Fact):
    """The sign of life of one instance, sent every 10 s."""

    kind: Literal["heartbeat"]
    service: Name
    time: Moment
    instance: Name = ""
    boot: Name = ""
    version: Name = ""
    waiting: dict[Name, Number] = Field(default_factory=dict)
    breakers: dict[Name, Breaking] = Field(default_factory=dict)
    shed: Number = 0

    @model_validator(mode="after")
    def _ischeck_findable(self) -> Self:
        check_findable(self.service, self.instance)
        return self


class Retired(Fact):
    """That a person retired a service at the desk: it is gone, and nobody waits for it any more."""

    kind: Literal["retired"]
    service: Name  # the desk, which says it
    retires: Name
    time: Moment
    last: Moment  # the last heartbeat of the retired service that the desk knew
    by: Name = ""
    reason: Text = ""

    @model_validator(mode="after")
    def _ischeck_findable(self) -> Self:
        check_findable(self.retires)
        return self


Reported = Receipt | Manifest | Heartbeat | BreakerChange | Retired | Drifted | WebhookFact | WebhookCounts
_KINDS: Mapping[str, type[Reported]] = {
    "receipt": Receipt,
    "manifest": Manifest,
    "heartbeat": Heartbeat,
    "breaker": BreakerChange,
    "retired": Retired,
    "webhook": WebhookFact,
    "webhooks": WebhookCounts,
    "drift": Drifted,
}


def reported(value: object) -> Reported:
    """One fact of the receipts stream. `ValueError` says why it is invalid."""
    kind = value.get("kind") if isinstance(value, dict) else None
    model = _KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise ValueError(f"kind: must be one of {', '.join(_KINDS)}")
    return model.model_validate(value)


class Aside(NamedTuple):
    """A message or a fact that could not be read: its place in the stream, and the reason."""

    place: str
    why: str
    body: bytes


#: Most facts in one message of the receipts stream; a message with more is set aside whole.
MAX_FACTS_PER_MESSAGE = 5_000


def read_facts(body: bytes, place: str) -> tuple[list[Reported], list[Aside]]:
    """The valid facts of one message, and its invalid parts."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        return [], [Aside(place, f"not JSON: {error}", body)]
    if not isinstance(found, list) or len(found) > MAX_FACTS_PER_MESSAGE:
        return [], [Aside(place, f"not a JSON array of at most {MAX_FACTS_PER_MESSAGE} facts", body)]
    facts: list[Reported] = []
    aside: list[Aside] = []
    for at, value in enumerate(found):
        try:
            facts.append(reported(value))
        except ValidationError as error:
            first = invalid_fields(error)[0]
            aside.append(Aside(f"{place}/{at}", f"{first.field}: {first.text}", json.dumps(value).encode()))
        except ValueError as error:
            aside.append(Aside(f"{place}/{at}", str(error), json.dumps(value).encode()))
    return facts, aside
