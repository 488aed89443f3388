"""Builds outbox rows of events that were said; the only place that makes envelopes of the service's own events.

Envelope: docs/wire.md#envelope; keys: RULES 2.3.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from hocket.broker.port import Headers, Message
from hocket.broker.topology import EVENTS, routing_key
from hocket.clock import Clock
from hocket.declarations.subscription import EventName, name_of
from hocket.envelope.attributes import text_fault
from hocket.envelope.cloudevent import CONTENT_TYPE, UNDO_TYPE, Envelope, Json, canonical, encode
from hocket.envelope.ids import Ids
from hocket.envelope.keys import undo_key
from hocket.envelope.said_keys import SaidKey, SaidKeys
from hocket.errors import Unsayable
from hocket.event import Event, Scheduled, data_of, schedule_name
from hocket.pseudonym import Pseudonyms
from hocket.runtime import Runtime
from hocket.saga.ledger import UndoOrder
from hocket.store.records import OutboxRow, RowKind
from hocket.telemetry.signals import Saying, Signals


class Causation(NamedTuple):
    """What was handled when an event was said; `identity`: source, type and idempotency key, None: no event."""

    identity: tuple[str, str, str] | None
    subscription: str
    correlation_id: str
    event_id: str = ""
    inbox_key: bytes = b""
    traceparent: str = ""  # of the flow's first span
    tracestate: str = ""
    attempt_traceparent: str = ""  # of the span of this attempt
    attempt: int = 0  # 0: outside handlers
    subject: str = ""  # of the event that was handled
    keyed_by: str = ""  # the name from which keys are derived, where it is not `subscription` (RULES 2.4)


@dataclass(frozen=True, slots=True)
class OutboxBuilder:
    """Builds outbox rows for one service."""

    service: str
    ids: Ids
    clock: Clock
    signals: Signals
    max_bytes: int
    pseudonyms: Pseudonyms = field(default_factory=Pseudonyms)
    older: Callable[[Event], Sequence[Event]] = lambda _: ()  # the same event in older versions (RULES 10.1)

    def keys(self, cause: Causation) -> SaidKeys:
        """What names the events that `cause` says."""
        return SaidKeys(cause.identity, cause.keyed_by or cause.subscription, cause.correlation_id, self.ids.uuid7)

    def rows(
        self,
        said: Sequence[Event | Scheduled[Event]],
        cause: Causation,
        allowed: Mapping[EventName, type[Event]],
        named: Sequence[SaidKey] = (),
    ) -> tuple[OutboxRow, ...]:
        """One row an event, in order; rows of its older versions follow each. `named`: their names, else new ones.

        `Unsayable` names the subscription and the type of an event that is not declared or too big.
        """
        keys = self.keys(cause) if not named else None
        rows: list[OutboxRow] = []
        for n, each in enumerate(said):
            event = each.event if isinstance(each, Scheduled) else each
            self._declared(event, cause.subscription, allowed)
            _, event_id, key = keys.add(name_of(type(event))[0]) if keys is not None else named[n]
            rows.append(self._row(each, event, cause, event_id, key))
            rows += [self._row(each, older, cause, self.ids.uuid7(), key) for older in self.older(event)]
        return tuple(rows)

    def check(self, said: object, subscription: str, allowed: Mapping[EventName, type[Event]]) -> None:
        """Raise `Unsayable` at once where a value is not an event, not declared, or too big."""
        event = said.event if isinstance(said, Scheduled) else said
        if not isinstance(event, Event):
            kind = type(event).__name__
            raise Unsayable(f"{subscription} says {kind}, which is not an Event: say one that it declares")
        self._declared(event, subscription, allowed)
        type_, subject = type(event).__hocket_type__, event.subject_of(self.pseudonyms)
        _check_subject(type_, subject)
        if (size := _size_of(event)) > self.max_bytes:
            raise self._too_big(type_, subject, size)

    @staticmethod
    def _declared(event: Event, subscription: str, allowed: Mapping[EventName, type[Event]]) -> None:
        type_, version = name_of(type(event))
        if allowed.get((type_, version)) is not type(event):
            raise undeclared(subscription, type(event))

    def _too_big(self, type_: str, subject: str, size: int) -> Unsayable:
        return Unsayable(
            f"{type_} about {subject} has {size} bytes and the bound is {self.max_bytes}: "
            "make it smaller, or raise HOCKET_MAX_EVENT_BYTES (never above the broker's limit)"
        )

    def _row(
        self, said: Event | Scheduled[Event], event: Event, cause: Causation, event_id: str, key: str
    ) -> OutboxRow:
        """The row of `event`: the event that was said, or the same in an older version."""
        type_, version = name_of(type(event))
        now = self.clock.now()
        due, wait = _due(said, now) if isinstance(said, Scheduled) else (now, 0.0)
        route = routing_key(type_, version)
        parent = cause.attempt_traceparent or cause.traceparent
        traceparent = self.signals.saying(Saying(self.service, type_, event_id, cause.correlation_id, route, parent))
        envelope = Envelope(
            id=event_id,
            source=f"/{self.service}",
            type=type_,
            version=version,
            subject=event.subject_of(self.pseudonyms, like=cause.subject),
            time=due,
            correlation_id=cause.correlation_id,
            causation_id=cause.event_id,
            idempotency_key=key,
            data=data_of(event),
            traceparent=cause.traceparent or traceparent,
            tracestate=cause.tracestate,
        )
        message = self.message(EVENTS, route, envelope, _headers(cause, traceparent))
        subject, key_of_cause = envelope.subject, cause.inbox_key
        row = OutboxRow(RowKind.EVENT, message, due.timestamp(), event_id, subject, key_of_cause)
        if isinstance(said, Scheduled):
            return row._replace(kind=RowKind.SCHEDULED, schedule=schedule_name(type_, said.key), wait=wait)
        return row

    def message(self, exchange: str, route: str, envelope: Envelope, headers: Headers) -> Message:
        """An envelope as a message; `Unsayable` where its subject is invalid or it is too big (RULES 4.3)."""
        _check_subject(envelope.type, envelope.subject)
        body = encode(envelope)
        if len(body) > self.max_bytes:
            raise self._too_big(envelope.type, envelope.subject, len(body))
        return self._message(exchange, route, envelope, body, headers)

    def _message(self, exchange: str, route: str, envelope: Envelope, body: bytes, headers: Headers) -> Message:
        return Message(
            exchange,
            route,
            body,
            CONTENT_TYPE,
            headers,
            type=envelope.type,
            correlation_id=envelope.correlation_id,
            app_id=self.service,
            timestamp=envelope.time.timestamp(),
        )

    def undo(self, order: UndoOrder, queue: str, why: Mapping[str, Json], about: Envelope) -> OutboxRow:
        """The service's order to itself to undo a step run (RULES 5.4), in the flow of the step, caused by `why`.

        `about` is what was handled when it was ordered: the step's own input, or the failure.
        """
        now = self.clock.now()
        cause = why.get("id")
        envelope = Envelope(
            id=self.ids.uuid7(),
            source=f"/{self.service}",
            type=UNDO_TYPE,
            version=1,
            subject=about.subject,
            time=now,
            correlation_id=order.correlation_id,
            causation_id=cause if isinstance(cause, str) else "",
            idempotency_key=undo_key(order.run, order.generation),
            data={"run": order.run, "n": order.generation, "why": dict(why)},
            traceparent=about.traceparent,
            tracestate=about.tracestate,
        )
        headers: Headers = {"traceparent": about.traceparent} if about.traceparent else {}
        # It contains only the failure, whose size was checked: an order to undo is never too big.
        message = self._message(self.service, queue, envelope, encode(envelope, heard=True), headers)
        return OutboxRow(RowKind.SELF, message, now.timestamp(), event_id=envelope.id)


def _size_of(event: Event) -> int:
    """Bytes of the data. `Unsayable` where they cannot be said; the commit encodes them, so it is not done here too."""
    fits = type(event).__hocket_fits__
    if fits is not None and fits(event):
        with suppress(ValueError):  # of a value that JSON cannot carry; the whole way has the sentence for it
            return len(type(event).__pydantic_serializer__.to_json(event))
    return len(canonical(data_of(event)))


def undeclared(subscription: str, event: type[Event]) -> Unsayable:
    """The error for an event that `subscription` says without having declared it."""
    type_, version = name_of(event)
    return Unsayable(
        f"{subscription} says {type_} version {version}, which it does not declare: "
        "add it to the return annotation, or to says() outside handlers"
    )


def _check_subject(type_: str, subject: str) -> None:
    if fault := text_fault(subject):
        raise Unsayable(f"{type_}: its subject {fault}: build it from a field that names one thing in few characters")


def _headers(cause: Causation, traceparent: str) -> Headers:
    headers: dict[str, str | int] = {"hocket-cause-attempt": cause.attempt} if cause.attempt else {}
    return headers | {"traceparent": traceparent} if traceparent else headers


def _due(said: Scheduled[Event], now: datetime) -> tuple[datetime, float]:
    """The event's `time`, and the seconds that it waits; 0 where it waits for a moment (RULES 4.5)."""
    if said.at is not None:
        return said.at, 0.0
    wait = said.after or timedelta()
    return now + wait, wait.total_seconds()


def builder_of(runtime: Runtime, pseudonyms: Pseudonyms, older: Callable[[Event], Sequence[Event]]) -> OutboxBuilder:
    """The builder of a running service."""
    most = runtime.config.max_event_bytes
    return OutboxBuilder(runtime.service, runtime.ids, runtime.clock, runtime.signals, most, pseudonyms, older)
