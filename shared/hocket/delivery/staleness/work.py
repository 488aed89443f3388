"""What a delivery is to its subject, and the decisions about it (RULES 15). Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from hocket.declarations.subscription import Subscription
from hocket.envelope.attributes import derived_subject
from hocket.envelope.cloudevent import Envelope
from hocket.envelope.keys import digest
from hocket.event_data.sorting import begins, sort_key
from hocket.store.records import InboxRow, InboxState
from hocket.store.subjects.rows import Latest, LatestWrite, MarkWrite, is_stale

#: Seconds by which a value may lie ahead of its receipt: what is further ahead is kept out of the row (RULES 15.2).
MOST_AHEAD = 300.0
#: The header of what has waited: it was sent because its predecessor was handled, or because its time was over.
WAITED = "hocket-waited"
#: The cause of the deferral of what waits.
AFTER = "after"


class Verdict(StrEnum):
    """What becomes of a value."""

    RUN = "run"
    STALE = "stale"
    AHEAD = "ahead"  # it runs, and its row is not raised


@dataclass(slots=True)
class SubjectWork:
    """What a delivery does to the rows of its subject when it is handled, or while it waits."""

    latest: LatestWrite | None = None
    moment: float = 0.0  # that its value names, in seconds since 1970; 0: none
    first: bytes = b""  # the mark of the predecessor that it waits for; b"": it has none, or has waited
    waits: bool = False  # it is deferred until that mark is done
    waited: bool = False  # it has waited, and does not wait again


def subject_of(envelope: Envelope) -> str:
    """Its subject; "" where it came without one, and has got one that no other event has."""
    derived = derived_subject(envelope.type, envelope.id)
    return "" if envelope.subject == derived else envelope.subject


def latest_key(identity: str, subject: str) -> bytes:
    """The key of a latest value; a renamed handler keeps its identity, and so its rows (RULES 2.4)."""
    return digest("latest", identity, subject)


def mark_key(identity: str, subject: str) -> bytes:
    """The key of the mark of a predecessor of this identity."""
    return digest("mark", identity, subject)


def work_of(
    subscription: Subscription, event: object, envelope: Envelope, headers: Mapping[str, object]
) -> tuple[SubjectWork, bool]:
    """What a decoded delivery asks for, and whether its value is a number that can be compared.

    An event without a subject is about nothing that another one could be about: it is neither stale, nor does it wait.
    """
    work, compares, subject = SubjectWork(), True, subject_of(envelope)
    if not subject:
        return work, compares
    if subscription.latest_by is not None:
        value = getattr(event, subscription.latest_by.field)
        key = sort_key(value)
        compares = key is not None
        if key is not None:
            row = Latest(subscription.latest_by.kept, key)
            work.latest, work.moment = LatestWrite(latest_key(subscription.identity, subject), row), begins(value)
    if subscription.after is not None:
        work.waited = WAITED in headers
        work.first = b"" if work.waited else mark_key(subscription.after.identity, subject)
    return work, compares


def judge_value(given: Latest, known: Latest | None, moment: float, now: float) -> Verdict:
    """What becomes of a value received at `now`, by the store's clock, where `known` is the greatest handled."""
    if is_stale(known, given):
        return Verdict.STALE
    return Verdict.AHEAD if moment > now + MOST_AHEAD else Verdict.RUN


def left_of(within: float, row: InboxRow | None, now: float) -> float:
    """Seconds that are left of a wait, by the store's clock; 0: it is over.

    What has a row already, because it stood in a line, was deferred or is a copy, has waited since that was written.
    """
    if row is None or row.state is not InboxState.RETRY:
        return within
    return min(max(within - (now - row.updated), 0.0), within)


def done_marks(subscription: Subscription, envelope: Envelope) -> tuple[MarkWrite, ...]:
    """What a handled event of a predecessor marks."""
    if not subscription.followed or not (subject := subject_of(envelope)):
        return ()
    return (MarkWrite(mark_key(subscription.identity, subject), done=True),)
