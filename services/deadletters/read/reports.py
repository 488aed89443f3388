"""What the desk stores of the receipts stream's facts, which `hocket.console.facts` has validated. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from hocket.clock import rfc3339
from hocket.console.facts import Heartbeat, Manifest, Receipt
from services.deadletters.read.letter import MAX_ERROR, text

#: Outcomes that can settle a letter.
SETTLING = frozenset({"handled", "obsolete", "refused", "stale"})


def receipt_of(fact: Receipt) -> Iterable[dict[str, Any]]:
    """A receipt as it is kept: one that may settle a letter, or belongs to a replay."""
    if not fact.event.id or fact.outcome == "discarded" or (fact.outcome not in SETTLING and not fact.replay):
        return
    yield {
        "subscription": text(fact.subscription),
        "source": text(fact.event.source),
        "event_id": text(fact.event.id),
        "attempt": fact.attempt,
        "outcome": fact.outcome,
        "replay": text(fact.replay),
        "time": rfc3339(fact.over),
        "next_at": rfc3339(fact.next_at) if fact.next_at else "",
        "error": text(fact.error, MAX_ERROR),
    }


def report_of(fact: Manifest | Heartbeat, at: datetime) -> tuple[str, dict[str, Any], str]:
    """A manifest or heartbeat as it is kept: the service, its values, and which column has its time.

    A time that is ahead of `at`, our own, counts as ours: so a wrong clock does not silence what is said later.
    """
    time = rfc3339(min(fact.time, at))
    if isinstance(fact, Heartbeat):
        breakers = {name: each.model_dump(mode="json") for name, each in fact.breakers.items()}
        return fact.service, {"breakers": breakers, "heartbeat_at": time}, "heartbeat_at"
    said = fact.model_dump(mode="json", include={"owner", "subscriptions", "says", "sensitive"})
    return fact.service, {**said, "manifest_at": time}, "manifest_at"
