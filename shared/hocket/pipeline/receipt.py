"""What one attempt reports of itself: one JSON object (docs/house.md, Receipts)."""

import json
from dataclasses import dataclass
from functools import lru_cache

from hocket.clock import rfc3339
from hocket.envelope import Envelope
from hocket.outcome import Again, Bury, Done, GiveBack, Obsolete, Outcome, Refused, Seen, Word
from hocket.pipeline.arrival import Arrival

#: Subscriptions whose receipts' beginning is remembered.
KNOWN_HEADS = 1024

_text = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Identity:
    """Which process of which service speaks: `boot` is new at each start."""

    service: str
    instance: str
    boot: str


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
        case GiveBack():
            return None


def receipt(
    who: Identity, arrival: Arrival, outcome: Outcome, *, said: tuple[str, ...], death: str, ledger: str
) -> bytes:
    """The receipt of one attempt; empty for what leaves none."""
    word = word_of(outcome)
    if word is None:
        return b""
    fact = _head(who, arrival.subscription.queue) + _event(arrival.envelope)
    fact += (
        f',"attempt":{arrival.attempt},"outcome":"{word.value}","began":"{rfc3339(arrival.began)}",'
        f'"ended":"{rfc3339(arrival.ended)}","time":"{rfc3339(arrival.ended)}",'
        f'"next_at":{_text(rfc3339(outcome.at)) if isinstance(outcome, Again) else "null"},'
        f'"said":{_text(said) if said else "[]"},"death":{_or_null(death)},'
        f'"cause":{_text(getattr(outcome, "cause", ""))},"error":{_text(getattr(outcome, "error", ""))},'
        f'"ledger":{_or_null(ledger)},"step":{_or_null(arrival.step)},"run":{_or_null(arrival.run)},'
        f'"replay":{_or_null(arrival.replay)}'
    )
    if isinstance(outcome, Seen):
        fact += f',"first":{_text(outcome.first)}'
    return (fact + "}").encode()


@lru_cache(maxsize=KNOWN_HEADS)
def _head(who: Identity, queue: str) -> str:
    """The beginning of every receipt of one subscription, which ends inside its object."""
    head = {"kind": "receipt", "service": who.service, "instance": who.instance, "boot": who.boot}
    return _text({**head, "subscription": queue})[:-1]


def _event(envelope: Envelope | None) -> str:
    if envelope is None:
        return ',"event":null,"subject":"","correlationid":""'
    return (
        f',"event":{{"id":{_text(envelope.id)},"source":{_text(envelope.source)},"type":{_text(envelope.type)},'
        f'"version":{envelope.version}}},"subject":{_text(envelope.subject)},'
        f'"correlationid":{_text(envelope.correlation_id)}'
    )


def _or_null(text: str) -> str:
    return _text(text) if text else "null"
