"""The report of one attempt: one JSON object (docs/wire.md#receipts)."""

import orjson

from hocket import saga
from hocket.clock import rfc3339
from hocket.delivery.arrival import Arrival, Role
from hocket.delivery.ending.failure_trace import failure_of
from hocket.envelope.cloudevent import Envelope
from hocket.outcome import Again, Bury, Done, GiveBack, Obsolete, Outcome, Refused, Seen, Stale, Word
from hocket.runtime import ServiceInstance
from hocket.saga.ledger import LedgerRow
from hocket.telemetry.signals import Ended


def word_of(outcome: Outcome) -> Word | None:
    """The receipt's word for an outcome; None for what leaves no receipt."""
    match outcome:
        case Done():
            return Word.HANDLED
        case Again(deferred=deferred):
            return Word.DEFERRED if deferred else Word.RETRY
        case Bury():
            return Word.DEAD
        case Seen():
            return Word.DUPLICATE
        case Refused():
            return Word.REFUSED
        case Obsolete():
            return Word.OBSOLETE
        case Stale():
            return Word.STALE
        case GiveBack():
            return None


def receipt(
    instance: ServiceInstance, arrival: Arrival, outcome: Outcome, *, said: tuple[str, ...], death: str,
    ledger: LedgerRow | None,
) -> bytes:  # fmt: skip
    """The receipt of one attempt; empty for what leaves none. `ledger` is the row of its step run."""
    word = word_of(outcome)
    if word is None:
        return b""
    envelope, ended = arrival.envelope, rfc3339(arrival.ended)
    fact: dict[str, object] = {
        "kind": "receipt",
        "service": instance.service,
        "instance": instance.instance,
        "boot": instance.boot,
        "subscription": arrival.subscription.queue,
        "event": _event(envelope) if envelope is not None else None,
        "subject": envelope.subject if envelope is not None else "",
        "correlationid": envelope.correlation_id if envelope is not None else "",
        "attempt": arrival.attempt,
        "outcome": word,
        "began": rfc3339(arrival.began),
        "ended": ended,
        "time": ended,
        "next_at": rfc3339(arrival.ended + outcome.wait) if isinstance(outcome, Again) else None,
        "said": said,
        "death": death or None,
        "cause": getattr(outcome, "cause", ""),
        "error": getattr(outcome, "error", ""),
        "ledger": ledger.state.value if ledger else None,
        "step": arrival.step or None,
        "run": arrival.run or None,
        "replay": arrival.replay or None,
    }
    timer = arrival.timer or arrival.alarm
    if timer is not None and timer.fact:
        fact["timer"] = timer.fact
    if arrival.reached is not None:
        fact["reached"] = list(arrival.reached) or "none"
    if isinstance(outcome, Refused) and ledger is not None:
        fact["failure"] = failure_of(ledger.failure)
    if isinstance(outcome, Seen):
        fact["first"] = outcome.first
    elif arrival.delivery.redelivered:
        fact["redelivered"] = True
    return orjson.dumps(fact)


def ended_of(arrival: Arrival) -> Ended | None:
    """The report of one attempt for listeners; None for what leaves no receipt."""
    word = word_of(arrival.outcome) if arrival.outcome is not None else None
    if word is None:
        return None
    envelope = arrival.envelope
    return Ended(
        arrival.subscription.service,
        arrival.subscription.queue,
        envelope.type if envelope else "",
        envelope.id if envelope else "",
        envelope.correlation_id if envelope else "",
        arrival.attempt,
        word,
        arrival.began.timestamp(),
        arrival.ended.timestamp(),
        envelope.time.timestamp() if envelope else arrival.began.timestamp(),
        getattr(arrival.outcome, "cause", ""),
        getattr(arrival.outcome, "error", ""),
        getattr(arrival.outcome, "trace", ""),
        envelope.subject if envelope else "",
        arrival.outcome.wait.total_seconds() if isinstance(arrival.outcome, Again) else None,
        _timer_word(arrival),
        arrival.reached != (),
        _asks_for(arrival) if word is Word.DEAD else "",
        arrival.death,
    )


def _timer_word(arrival: Arrival) -> str:
    """What the attempt did to a time-out, for metrics; "": nothing."""
    if arrival.timer is not None:
        return arrival.timer.word if isinstance(arrival.outcome, Done) else ""
    return "fired" if arrival.alarm is not None and arrival.alarm.fact.get("due") else ""


def _asks_for(arrival: Arrival) -> str:
    """What a delivery that was given up asks of a person (RULES 5.8)."""
    if arrival.role is Role.UNDO:
        return saga.standing(saga.LedgerState.UNDOING, undo=saga.UndoStand.DEAD).value
    return saga.standing(None, letter=not arrival.spoke).value


def _event(envelope: Envelope) -> dict[str, object]:
    return {"id": envelope.id, "source": envelope.source, "type": envelope.type, "version": envelope.version}
