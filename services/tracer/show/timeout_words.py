"""What a time-out of a flow says of itself. Pure."""

from datetime import datetime

from hocket.console import counted, day_and_clock, duration
from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.timeouts import TimeOut, TimeOutState


def stands(each: TimeOut, now: datetime, *, short: bool = False) -> str:
    """Where it stands at this moment, in a clause: `due at 14:05:30`, `met by parcel.shipped at 14:05:12`."""
    met = each.met_by
    match each.state:
        case TimeOutState.ARMED if each.due is not None:
            if each.due > now:
                return f"due at {day_and_clock(each.due, now)}"
            due = f"due since {day_and_clock(each.due, now)}"
            return due if short else f"{due}, not decided yet: what stood in its queue is heard first"
        case TimeOutState.MET if met is not None:
            return f"met by {met.type} at {day_and_clock(met.at, now)}"
        case TimeOutState.MET:
            return "answered before it was armed"
        case TimeOutState.FIRED:
            fired = f"fired at {day_and_clock(each.fired, now)}" if each.fired else "fired"
            return f"{fired}, {lateness(each, now)}" if each.late else f"{fired}: nothing had answered it"
        case TimeOutState.MOVED:
            return "armed anew in another flow, where it goes on"
        case _:
            return "answered; nothing has armed it"


def lateness(each: TimeOut, now: datetime) -> str:
    """What came too late, by how much, and what becomes of it; "" where nothing did."""
    if not each.late:
        return ""
    first = each.late[0]
    kept = {"undone": "is undone", "accepted": "stands"}.get(first.kept, "came too late")
    more = f", and {counted(len(each.late) - 1, 'more answer', 'more answers')}" if len(each.late) > 1 else ""
    return f"{first.type} came {duration(first.late or 0.0)} late at {day_and_clock(first.at, now)} and {kept}{more}"


def armed_by(each: TimeOut, now: datetime) -> str:
    """What armed it last, and how often it was armed before; "" where no receipt says it."""
    if not each.periods:
        return ""
    last = each.periods[-1]
    again = f", for the {_nth(last.n)} time" if last.n > 1 else ""
    return f"{last.type} at {day_and_clock(last.since, now)}{again}"


def answered_by(each: TimeOut, known: Knowledge) -> tuple[str, ...]:
    """The types that answer it, as declared; empty where no manifest says it."""
    declared = known.subscriptions.get(each.subscription)
    return tuple(dict.fromkeys(name for name, _ in declared.overdue.unless)) if declared and declared.overdue else ()


def _nth(number: int) -> str:
    tens = 10 < number % 100 < 14
    return f"{number}{'th' if tens else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
