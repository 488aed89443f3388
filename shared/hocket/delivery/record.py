"""Station record: turns an outcome into the rows that it leaves behind, and gives a dead letter its identity.

It is the only place that acts on an outcome.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from hocket.broker.port import Message
from hocket.clock import rfc3339
from hocket.declarations.subscription import EventName, Subscription, name_of
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.ending import ledger as of_ledger
from hocket.delivery.ending.dead_letter import body_of, headers_of, identity_of, letter
from hocket.delivery.ending.error_text import clean, text_of
from hocket.delivery.ending.history import HISTORY_ATTEMPTS, attempt_of, history_of
from hocket.delivery.ending.ledger import UNCHANGED, LedgerChange
from hocket.delivery.ending.receipt import receipt as receipt_of
from hocket.delivery.ordering.ending import with_order
from hocket.delivery.ordering.turn import HISTORY
from hocket.delivery.overdue import ending as of_timer
from hocket.delivery.poison import ALONE, STARTED
from hocket.delivery.staleness import ending as of_subject
from hocket.envelope.attributes import is_traceparent
from hocket.envelope.canonical_json import MAX_WRITTEN_DEPTH, Json, read_json
from hocket.event import Death, Event, Scheduled
from hocket.outbox.builder import Causation, OutboxBuilder
from hocket.outcome import Again, Attempt, Bury, Done, GiveBack, Obsolete, Refused, Seen, Stale
from hocket.resilience.isolation import call_apart
from hocket.runtime import ServiceInstance
from hocket.saga.ledger import LedgerRow, UndoOrder
from hocket.store.records import Ending, InboxRow, InboxState, InboxWrite, OutboxRow, RowKind

PROMISE = "an outcome becomes the rows that it leaves behind: inbox row, outbox rows, ledger row, receipt, letter"

#: Characters of a `traceparent` that is copied from a delivery's headers.
MAX_TRACEPARENT_CHARS = 128


@dataclass(slots=True)
class Recorder:
    """Makes the ending of each arrival of one service."""

    instance: ServiceInstance
    builder: OutboxBuilder
    shed: Callable[[], bool] = lambda: False  # whether receipts are to be shed now (RULES 4.6)
    _allowed: dict[str, Mapping[EventName, type[Event]]] = field(default_factory=dict)

    def ending(self, arrival: Arrival, ledger: LedgerRow | None) -> tuple[Ending, bool]:
        """The rows that the arrival's outcome leaves behind, and whether its run still owned its step (RULES 5.2).

        A fenced run leaves at most the next undo (RULES 5.4). `Unsayable` where an event that it said is not allowed.
        """
        ending, owned = self._of_outcome(arrival, ledger)
        if arrival.order is not None:
            ending = with_order(ending, arrival.order, arrival.key, arrival.outcome)
        return ending, owned

    def _of_outcome(self, arrival: Arrival, ledger: LedgerRow | None) -> tuple[Ending, bool]:
        match arrival.outcome:
            case Done(said=said):
                return self._done(arrival, said, ledger)
            case Again() as again:
                return self._again(arrival, again, ledger)
            case Bury() as bury:
                return self._bury(arrival, bury, ledger)
            case Seen() as seen:
                return Ending(receipt=self._receipt(arrival, said=tuple(seen.said))), True
            case Refused():
                row, change = self._row(arrival, InboxState.REFUSED), of_ledger.refused(arrival, ledger)
                receipt = self._receipt(arrival, ledger=change[0] if change else ledger)
                return self._ending(arrival, row, ledger=change, receipt=receipt), True
            case Obsolete():
                return Ending(receipt=self._receipt(arrival, death=_death(arrival), ledger=ledger)), True
            case Stale():
                row = self._row(arrival, InboxState.REFUSED)  # final, and known to every release (RULES 10.3)
                ending = self._ending(arrival, row, receipt=self._receipt(arrival, death=_death(arrival)))
                return of_subject.stale(arrival, ending), True
            case GiveBack() | None:
                if arrival.marked and arrival.row is not None:  # its process is alive: the mark of its start is removed
                    row = arrival.row._replace(history=arrival.row.history[:-1])
                    return self._ending(arrival, row, ledger=of_ledger.released(arrival, ledger)), True
                return Ending(ledger=of_ledger.released(arrival, ledger)), True

    def _done(
        self, arrival: Arrival, said: Sequence[Event | Scheduled[Any]], ledger: LedgerRow | None
    ) -> tuple[Ending, bool]:
        rows: tuple[OutboxRow, ...] = ()
        timers = of_timer.heard(arrival) if arrival.timer is not None else ()
        if said:
            rows = self.builder.rows(said, self._cause(arrival), self._declared(arrival.subscription))
        ids = tuple([each.event_id for each in rows])
        change = UNCHANGED
        if arrival.role is not Role.EVENT:
            change = of_ledger.handled(arrival, ledger, rows, self.instance.boot)
            if not change.owned:
                return self._fenced(arrival, change), False
            if change.undo is not None:
                undo = self._undo(arrival, change.undo)
                rows += (undo,)
                if arrival.role is Role.FAILURE:
                    ids += (undo.event_id,)
        state = change.rows[0] if change.rows else ledger
        row = self._row(arrival, InboxState.HANDLED, said=ids)
        ending = self._ending(arrival, row, rows, change.rows, self._receipt(arrival, said=ids, ledger=state))
        if arrival.subscription.idempotent and arrival.row is None:
            ending = ending._replace(inbox=None)  # RULES 2.6
        if arrival.timer is not None:
            return ending._replace(timers=timers), True
        return of_subject.handled(arrival, ending), True

    def _again(self, arrival: Arrival, again: Again, ledger: LedgerRow | None) -> tuple[Ending, bool]:
        if not of_ledger.is_owned(arrival, ledger, self.instance.boot):
            return self.fence(arrival, ledger), False
        known = arrival.attempt - 1 if again.deferred else arrival.attempt
        headers = {**headers_of(arrival), "hocket-attempt": known + 1}
        if arrival.replay:
            headers["hocket-replay"] = arrival.replay
        if arrival.history and arrival.order is not None:
            headers[HISTORY] = 1
        if traceparent := _traceparent(arrival):
            headers["traceparent"] = traceparent
        body, content_type = body_of(arrival)
        service = arrival.subscription.service
        message = Message(
            service, arrival.comes_again_to, body, content_type, headers, type=arrival.known.type,
            correlation_id=arrival.known.correlation_id, app_id=service, timestamp=arrival.known.time.timestamp(),
        )  # fmt: skip
        wait = max(again.wait.total_seconds(), 0.0)
        due = arrival.ended.timestamp() + wait
        later = OutboxRow(RowKind.SELF, message, due, arrival.known.id, inbox_key=arrival.key, wait=wait)
        row = self._row(arrival, InboxState.RETRY)._replace(attempt=known)
        moved = of_ledger.released(arrival, ledger)
        receipt = self._receipt(arrival, ledger=moved[0] if moved else ledger)
        return of_subject.again(arrival, again, self._ending(arrival, row, (later,), moved, receipt), later), True

    def _bury(self, arrival: Arrival, bury: Bury, ledger: LedgerRow | None) -> tuple[Ending, bool]:
        if not bury.row:
            death = arrival.death = identity_of(arrival)
            message = letter(arrival, bury, death=death, spoke=False, history=(attempt_of(arrival),))
            receipt = self._receipt(arrival, death=death)
            rows: tuple[OutboxRow, ...] = (self._letter_row(arrival, message),)
            return Ending(None, rows, of_ledger.released(arrival, ledger), receipt), True
        said: tuple[OutboxRow, ...] = ()
        if bury.began and arrival.subscription.on_dead is not None:
            said, bury = self._last_event(arrival, bury)
            arrival.spoke = bool(said)
        change = UNCHANGED
        if arrival.role is Role.STEP and ledger is not None and bury.began:
            spoken = said[0].message.body if said else None
            change = of_ledger.buried(arrival, ledger, spoken, self.instance.boot)
            if not change.owned:
                return self._fenced(arrival, change), False
        undo = (self._undo(arrival, change.undo),) if change.undo else ()
        death = arrival.death = _death(arrival) or self.builder.ids.uuid7()
        ids = tuple(each.event_id for each in said)
        row = self._row(arrival, InboxState.DEAD, said=ids)._replace(
            death_id=death, spoke=bool(said), base=arrival.attempt
        )
        message = letter(arrival, bury, death=death, spoke=bool(said), history=row.history)
        rows = (*said, *undo, self._letter_row(arrival, message))
        receipt = self._receipt(arrival, said=ids, death=death, ledger=change.rows[0] if change.rows else ledger)
        return self._ending(arrival, row, rows, change.rows, receipt), True

    def _last_event(self, arrival: Arrival, bury: Bury) -> tuple[tuple[OutboxRow, ...], Bury]:
        """The event of `on_dead`; where that raises, the letter says so and is sent all the same (RULES 5.5)."""
        death = Death(bury.cause, bury.error, arrival.used, overdue=arrival.alarm is not None)
        subscription = arrival.subscription
        try:
            assert subscription.on_dead is not None
            event = call_apart(subscription.on_dead, arrival.event, death)
            return self.builder.rows((event,), self._cause(arrival), self._declared(subscription)), bury
        except Exception as broken:  # noqa: BLE001 -- a team's code may raise anything
            text = clean(f"its on_dead raised {type(broken).__name__}: {text_of(broken, arrival.mask())}; {bury.error}")
            return (), replace(bury, error=text)

    def fence(self, arrival: Arrival, ledger: LedgerRow | None) -> Ending:
        """What a fenced run leaves behind: at most the next undo (RULES 5.4)."""
        return self._fenced(arrival, of_ledger.fenced(arrival, ledger, self.instance.boot))

    def _fenced(self, arrival: Arrival, change: LedgerChange) -> Ending:
        if change.forgotten:
            text = "it took effect after its step was undone, and the ledger has forgotten why: settle it by hand"
            message = letter(
                arrival, Bury("ledger", text, row=False), death=identity_of(arrival), spoke=False,
                history=(attempt_of(arrival),),
            )  # fmt: skip
            return Ending(outbox=(self._letter_row(arrival, message),))
        undo = (self._undo(arrival, change.undo),) if change.undo else ()
        return Ending(ledger=change.rows, outbox=undo)

    def _undo(self, arrival: Arrival, order: UndoOrder) -> OutboxRow:
        subscription = arrival.subscription
        queue = subscription.undone_by.queue if subscription.undone_by is not None else subscription.queue
        why = cast("dict[str, Json]", read_json(order.why, depth=MAX_WRITTEN_DEPTH))
        return self.builder.undo(order, queue, why, arrival.known)

    def _letter_row(self, arrival: Arrival, message: Message) -> OutboxRow:
        return OutboxRow(RowKind.LETTER, message, arrival.ended.timestamp(), inbox_key=arrival.key)

    def _ending(
        self,
        arrival: Arrival,
        row: InboxRow,
        outbox: tuple[OutboxRow, ...] = (),
        ledger: tuple[LedgerRow, ...] = (),
        receipt: bytes = b"",
    ) -> Ending:
        return Ending(InboxWrite(row, arrival.attempt, bool(arrival.replay)), outbox, ledger, receipt)

    def started(self, arrival: Arrival, alone: bool) -> Ending:
        """The write that marks the start of a redelivered delivery in its inbox row (RULES 1.4)."""
        boot, began = self.instance.boot, rfc3339(arrival.began)
        earlier = [
            each for each in (arrival.row.history if arrival.row else ()) if (each.word, each.error) != (STARTED, boot)
        ]
        start = Attempt(arrival.attempt, began, "", STARTED, ALONE if alone else "", boot)
        history = (*earlier, start)[-HISTORY_ATTEMPTS:]
        row = self._row(arrival, InboxState.RETRY)._replace(attempt=arrival.attempt - 1, history=history)
        marked = self._ending(arrival, row)
        return marked if arrival.order is None else with_order(marked, arrival.order, arrival.key, None)

    def _row(self, arrival: Arrival, state: InboxState, said: tuple[str, ...] = ()) -> InboxRow:
        envelope = arrival.known
        return InboxRow(
            arrival.key,
            arrival.subscription.queue,
            envelope.id,
            state,
            arrival.attempt,
            arrival.base,
            envelope.version,
            arrival.hash,
            envelope.revision,
            envelope.correlation_id,
            said,
            _death(arrival),
            False,
            history_of(arrival),
            envelope.time.timestamp(),
        )

    def _receipt(
        self, arrival: Arrival, *, said: tuple[str, ...] = (), death: str = "", ledger: LedgerRow | None = None
    ) -> bytes:
        assert arrival.outcome is not None
        return receipt_of(self.instance, arrival, arrival.outcome, said=said, death=death, ledger=ledger)

    def _cause(self, arrival: Arrival) -> Causation:
        envelope = arrival.known
        return Causation(
            identity=(envelope.source, envelope.type, envelope.idempotency_key),
            subscription=arrival.subscription.queue,
            correlation_id=envelope.correlation_id,
            event_id=envelope.id,
            inbox_key=arrival.key,
            traceparent=envelope.traceparent if is_traceparent(envelope.traceparent) else "",
            tracestate=envelope.tracestate,
            attempt_traceparent=arrival.attempt_traceparent or _traceparent(arrival),
            attempt=arrival.attempt,
            subject=envelope.subject,
            keyed_by=arrival.subscription.identity,
        )

    def _declared(self, subscription: Subscription) -> Mapping[EventName, type[Event]]:
        known = self._allowed.get(subscription.queue)
        if known is None:
            every = (*subscription.says, *subscription.scheduled, *subscription.on_dead_says)
            known = self._allowed[subscription.queue] = {name_of(each): each for each in every}
        return known


def _death(arrival: Arrival) -> str:
    return arrival.row.death_id if arrival.row else ""


def _traceparent(arrival: Arrival) -> str:
    """That of the delivery, else that of the flow; empty where it is invalid."""
    given = arrival.delivery.headers.get("traceparent")
    short = isinstance(given, str) and len(given) <= MAX_TRACEPARENT_CHARS
    for each in (given if short else "", arrival.known.traceparent):
        if isinstance(each, str) and is_traceparent(each):
            return each
    return ""
