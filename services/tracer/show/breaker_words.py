"""What a breaker that is not closed says of itself, and what it asks of whom. Pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from hocket.console import counted, day_and_clock
from services.tracer.ask.breakers import BreakerSeen

#: Characters of a reason within a sentence.
REASON_CHARS = 160


def state_of(breaker: BreakerSeen, now: datetime) -> str:
    """`breaker card-api is open since 14:05:12`; of a held one by whom."""
    since = f" since {day_and_clock(breaker.since, now)}" if breaker.since else ""
    if breaker.state == "held":
        by = f" by {_cut(breaker.by)}" if breaker.by else " by a person"
        return f"breaker {breaker.name} is held open{by}{since}"
    return f"breaker {breaker.name} is {breaker.state}{since}"


def goes_on(breaker: BreakerSeen, now: datetime) -> str:
    """What happens next: `next probe at 14:05:42`; "" where it is closed."""
    ahead = breaker.next(now)
    if breaker.state == "held":
        if ahead is not None:
            return f"held until {day_and_clock(ahead, now)}, then a few calls try"
        return "held until a person closes it"
    if breaker.state == "open":
        if ahead is not None:
            return f"next probe at {day_and_clock(ahead, now)}"
        return "the next delivery that comes is the probe" if breaker.until else ""
    if breaker.state == "half-open":
        return _out(breaker) or "a few calls try"
    return ""


def probes(breaker: BreakerSeen) -> str:
    """The step of the ramp: `2 of 4 probes are out, 1 ended well, 0 failed`; "" where nothing is told of it."""
    if not breaker.width:
        return ""
    of = f"; closes after a step of {breaker.ramp}" if breaker.ramp > breaker.width else ""
    return f"{_out(breaker)}, {breaker.ok} ended well, {breaker.bad} failed{of}"


def _out(breaker: BreakerSeen) -> str:
    return f"{breaker.out} of {counted(breaker.width, 'probe is out', 'probes are out')}" if breaker.width else ""


def why(breaker: BreakerSeen) -> str:
    """Its reason: what failed last, or what the person said."""
    return _cut(breaker.reason)


def waits(breaker: BreakerSeen) -> str:
    """`12 flows wait for payments.capture, 3 for payments.refund`; "" where none does."""
    some = [(name, many) for name, many in breaker.waiting if many]
    if not breaker.shut or not some:
        return ""
    first = f"{counted(some[0][1], 'flow waits', 'flows wait')} for {some[0][0]}"
    return ", ".join([first, *(f"{many} for {name}" for name, many in some[1:])])


def about_breakers(breakers: Sequence[BreakerSeen]) -> str:
    """The first line of their page."""
    many = Counter(each.state for each in breakers)
    parts = [
        counted(many[state], one, more)
        for state, one, more in (
            ("held", "breaker is held open by a person", "breakers are held open by a person"),
            ("open", "breaker is open", "breakers are open"),
            ("half-open", "breaker is half-open", "breakers are half-open"),
        )
        if many[state]
    ]
    if parts:
        return ", ".join(parts)
    if not breakers:
        return "No service has reported a breaker yet"
    return "The breaker is closed" if len(breakers) == 1 else f"All {len(breakers):,} breakers are closed"


def _cut(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= REASON_CHARS else f"{line[: REASON_CHARS - 1]}…"
