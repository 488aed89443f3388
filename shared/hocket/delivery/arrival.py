"""One delivery on its way through the stations: what is known of it, and how it ends."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from hocket.broker.port import Consumer, Delivery
from hocket.declarations.subscription import Subscription, Undo
from hocket.delivery.ordering.turn import Turn
from hocket.delivery.overdue.work import Alarm, TimerWork
from hocket.delivery.staleness.work import SubjectWork
from hocket.envelope.cloudevent import CONTENT_TYPE, Envelope
from hocket.envelope.keys import run_key
from hocket.event import Heard, Scheduled
from hocket.masking.mask import Mask, mask_of
from hocket.outcome import Bury, Done, Outcome
from hocket.resilience.circuit import Permit
from hocket.saga.ledger import LedgerRow
from hocket.store.records import InboxRow

#: `attempt` of a delivery whose header is missing or not a number.
FIRST_ATTEMPT = 1


class Role(StrEnum):
    """What a delivery is to its subscription."""

    EVENT = "event"  # for an ordinary handler
    STEP = "step"  # for a handler that has an undo
    FAILURE = "failure"  # a failure event on the queue of an undo
    UNDO = "undo"  # the order to undo, on the queue of an undo


@dataclass(slots=True)
class Arrival:
    """One delivery on its way; each station sets the fields below its name."""

    delivery: Delivery
    consumer: Consumer
    subscription: Subscription
    began: datetime
    history: bool = False  # it was said before the subscription lived, and comes from the log (RULES 7.5)
    # decode
    role: Role = Role.EVENT
    envelope: Envelope | None = None
    event: Heard | None = None
    key: bytes = b""
    hash: bytes = b""
    body: bytes = b""  # the whole event as the kit writes one, where it came so
    attempt: int = FIRST_ATTEMPT
    replay: str = ""
    run: str = ""
    scope: str = ""
    generation: int = 0  # of an undo
    timer: TimerWork | None = None  # it arms or answers a time-out
    alarm: Alarm | None = None  # it is the alarm of one
    held: Bury | None = None  # it drifts, and its subscription keeps that out (RULES 16.4)
    order: Turn | None = None  # of an ordered subscription (RULES 9)
    # admit
    row: InboxRow | None = None
    ledger: LedgerRow | None = None
    token: str = ""
    about: SubjectWork | None = None  # what it is to its subject, where its handler asks for that (RULES 15)
    # handle
    attempt_traceparent: str = ""  # of the span of this attempt
    did: Any = None  # the result of the step, for its undo
    why: Heard | None = None
    step_key: str = ""
    marked: bool = False  # its start is written in the inbox row (RULES 1.4)
    permit: Permit | None = None  # of a run whose end the group commit decides (RULES 6.11)
    # decide
    outcome: Outcome | None = None
    ended: datetime = field(default=datetime.fromtimestamp(0, UTC))
    fenced: bool = False  # another run ended the delivery while this handler ran
    blamed: int = 0  # how often its ending could not be written
    reached: tuple[str, ...] | None = None  # of a failure: the flows whose step run it found (RULES 5.3)
    death: str = ""  # id of the letter that it became
    spoke: bool = False  # its `on_dead` said what follows
    claimed: bool = False  # its handler ended the transaction by hand, and what it claimed may stand in the inbox

    @property
    def known(self) -> Envelope:
        """The envelope of a delivery that was decoded."""
        if self.envelope is None:
            raise AssertionError("asked for the envelope of a delivery that could not be read")
        return self.envelope

    def mask(self) -> Mask:
        """What hides the sensitive values of what is in hand: what came, an undo's reason and result, what is said.

        Made anew each time, since more comes into hand; only a failure and a handler's own log line ask for it.
        """
        said = self.outcome.said if isinstance(self.outcome, Done) else ()
        events = [each.event if isinstance(each, Scheduled) else each for each in said]
        did = self.did if isinstance(self.did, list) else [self.did]
        envelope = self.alarm.armed if self.alarm is not None else self.envelope
        if envelope is None:
            return mask_of()
        path = self.subscription.upcast_path(envelope.type, envelope.version)
        came = [(envelope.data, path.model)] if path is not None else []
        return mask_of(self.event, self.why, *did, *events, came=came)

    @property
    def base(self) -> int:
        """Attempts that do not count against the retries of this run (RULES 8.4)."""
        if self.row is None:
            return self.attempt - 1 if self.replay else 0
        return self.row.attempt if self.replay and self.row.state == "dead" else self.row.base

    @property
    def used(self) -> int:
        """Attempts used, this one included."""
        return self.attempt - self.base

    @property
    def comes_again_to(self) -> str:
        """The queue to which its next attempt is addressed: history does not wait for the cut-over.

        But in an ordered subscription what is tried again has its place in the queue that replicas take in turn.
        """
        own = self.subscription.queue
        return self.subscription.history_queue if self.history and not self.subscription.ordered else own

    @property
    def structured(self) -> bool:
        """Whether the body alone carries the whole event."""
        return self.delivery.content_type.startswith(CONTENT_TYPE.partition(";")[0])

    @property
    def step(self) -> str:
        """The queue of the step that this delivery is about, "" where it is about none."""
        if self.subscription.undo is not None:
            return self.subscription.undo.step
        return self.subscription.queue if self.subscription.undone_by is not None else ""


def step_identity(subscription: Subscription) -> str:
    """The name from which the keys of the step's runs are derived: renaming the step does not change it (RULES 2.4)."""
    return subscription.undo.identity if subscription.undo is not None else subscription.identity


def run_of(arrival: Arrival) -> str:
    """The name of the step run that a decoded delivery is about; `across` it is the same in every flow (RULES 5.1)."""
    undo = undo_of(arrival.subscription)
    flow = "" if undo is not None and undo.across else arrival.known.correlation_id
    return run_key(flow, step_identity(arrival.subscription), arrival.scope)


def undo_of(subscription: Subscription) -> Undo | None:
    """What makes this subscription an undo, or its step undone; None: it is neither."""
    if subscription.undo is not None or subscription.undone_by is None:
        return subscription.undo
    return subscription.undone_by.undo
