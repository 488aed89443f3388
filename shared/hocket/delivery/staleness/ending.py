"""What the end of an attempt leaves in the rows of its subject (RULES 15)."""

from hocket.delivery.arrival import Arrival
from hocket.delivery.staleness.work import AFTER, WAITED, done_marks
from hocket.outcome import Again
from hocket.store.records import Ending, OutboxRow
from hocket.store.subjects.rows import MarkWrite, schedule_of


def handled(arrival: Arrival, ending: Ending) -> Ending:
    """It was handled: its value is the latest, by compare-and-set, and who waits for it is sent."""
    latest = arrival.about.latest if arrival.about is not None else None
    marks = done_marks(arrival.subscription, arrival.known)
    return ending._replace(latest=latest, marks=marks) if latest is not None or marks else ending


def stale(arrival: Arrival, ending: Ending) -> Ending:
    """A newer one of its subject was handled; for who waits that is as good."""
    marks = done_marks(arrival.subscription, arrival.known)
    return ending._replace(marks=marks) if marks else ending


def again(arrival: Arrival, again: Again, ending: Ending, later: OutboxRow) -> Ending:
    """It is sent again: what waits is found by its mark, and what has waited once does not wait again."""
    about = arrival.about
    waits = about is not None and about.waits and again.cause == AFTER
    if about is None or not (waits or about.waited):
        return ending
    message = later.message._replace(headers={**later.message.headers, WAITED: 1})
    later = later._replace(message=message)
    if not waits:
        return ending._replace(outbox=(later,))
    mark = MarkWrite(about.first, done=False, wait=later.wait)
    return ending._replace(outbox=(later._replace(schedule=schedule_of(about.first)),), marks=(mark,))
