"""Whether an outside system was left alone while the shop's breaker had to be open, told from its books alone. Pure.

After as many failed answers in a row as open the breaker, it is open from the end of the last one. From then on only
one request may begin, and not before the period is over; each failed one begins the period anew, a success ends it.
This holds for a service of one replica, whose breakers nobody closes by hand.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from deploy.auditor.evidence import Row

#: The outside systems around which the shop has a breaker, as their books are named.
GUARDED = ("cards", "stock", "carrier", "crm", "mail")
#: Failed answers in a row that open each of the shop's breakers.
OPENS_AFTER = 5
#: Seconds for which it stays open before one request may try.
OPEN_SECONDS = 5.0
#: Seconds after which the shop has given up waiting: an answer that takes longer is a failure, also a good one.
CLIENT_SECONDS = 1.0
#: Seconds by which the shop may have given up earlier than the books tell: its clock runs before the request arrives.
TRIP_SECONDS = 0.2
#: Seconds for requests that were on their way already when the breaker opened, and until the shop has noted it.
GRACE_SECONDS = 0.5
#: Seconds by which two readings of the books' clock may differ: it is rounded to milliseconds.
CLOCK_GRAIN = 0.002
#: Seconds that a call takes at least, so that it ends after it began also where both fall into one millisecond.
SHORTEST_SECONDS = 0.0005
#: Statuses below 500 that tell of an ill system; every other is an answer.
ILL = frozenset({408, 425, 429})
#: The status of a system that says itself for how long it is to be left alone; the books do not tell how long.
TOO_MANY = 429
#: What the books call it when a request was done and answered with an error.
LIE = "lie"


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an outside system, as the shop saw it."""

    line: int
    began: float
    since: float  # earliest moment at which the shop may have known its end
    ended: float
    failed: bool
    period: float  # seconds for which the breaker is open at least, where this failure opens it


def call_of(row: Row) -> Call:
    """A line of the books as the shop saw it: it knows the end of a late answer when it has given up waiting."""
    began = float(row["began"])
    told: Any = row.get("ended")
    late = told is None or float(told) - began > CLIENT_SECONDS
    ended = began + CLIENT_SECONDS if late else max(float(told), began + SHORTEST_SECONDS)
    since = ended - TRIP_SECONDS if late else ended
    status = int(row["status"])
    failed = late or status >= 500 or status in ILL or row.get("fault") == LIE
    return Call(int(row["id"]), began, since, ended, failed, 0.0 if status == TOO_MANY else OPEN_SECONDS)


def while_open(rows: Iterable[Row]) -> list[int]:
    """The lines of requests that began while the breaker had to be open."""
    calls = [call_of(row) for row in rows]
    moments = [(call.ended, 0, call) for call in calls] + [(call.began, 1, call) for call in calls]
    watch = _Watch()
    for _, begins, call in sorted(moments, key=lambda each: (each[0], each[1], each[2].line)):
        if begins:
            watch.began(call)
        else:
            watch.ended(call)
    return sorted(watch.wrong)


class _Watch:
    """The breaker as it had to be, moment by moment."""

    def __init__(self) -> None:
        self.wrong: set[int] = set()
        self._failures = 0
        self._good = 0.0  # end of the last success
        self._closed = 0.0  # a call that began before the breaker was closed says nothing
        self._opened: float | None = None  # None: closed
        self._until = 0.0
        self._probe: int | None = None  # line of the request that tries

    def began(self, call: Call) -> None:
        if self._opened is None or call.began <= self._opened + GRACE_SECONDS:
            return
        if self._probe is None and call.began >= self._until - CLOCK_GRAIN:
            self._probe = call.line
        else:
            self.wrong.add(call.line)

    def ended(self, call: Call) -> None:
        if self._opened is None:
            self._count(call)
            if self._failures >= OPENS_AFTER:
                self._opened, self._until = call.ended, call.since + call.period
        elif call.line == self._probe:
            self._probe = None
            if call.failed:
                self._until = call.since + call.period
            else:
                self._opened, self._failures, self._good, self._closed = None, 0, call.ended, call.ended

    def _count(self, call: Call) -> None:
        """Failures in a row; one that may have been known before the last success is not surely in it."""
        if not call.failed:
            self._failures, self._good = 0, call.ended
        elif call.since >= self._good and call.began >= self._closed:
            self._failures += 1
