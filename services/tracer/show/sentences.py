"""Sentences built from recorded facts by templates, never from a guess (docs/console.md §1). Pure.

A sentence is a list of pieces, so that a page can make names bold and a program gets plain text.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from hocket.console import counted, day_and_clock, duration
from hocket.console.facts import Receipt
from services.tracer.ask.around import Around
from services.tracer.ask.own import Own
from services.tracer.ask.services import GONE, ServiceSeen
from services.tracer.fold.deliveries import Delivery, Stand
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.read.facts import Said
from services.tracer.show.breaker_words import goes_on, state_of
from services.tracer.show.timeout_words import stands

#: Characters of an error's text within a sentence.
ERROR_CHARS = 120
#: Open deliveries that a sentence names; the rest is counted.
NAMED = 2


class Piece(NamedTuple):
    """A part of a sentence; `strong` where it names something."""

    text: str
    strong: bool = False


Sentence = Sequence[Piece]


def plain(sentence: Sentence) -> str:
    """A sentence as text."""
    return "".join(each.text for each in sentence)


NOTHING = Around()


def where_is(subject: str, flow: Flow, now: datetime, around: Around = NOTHING) -> Sentence:
    """The answer to "where is this subject right now?", by its flow; its verb is the word of the flow's state."""
    fired = _fired(flow, now)
    if flow.left_out:
        left_out = f" ({flow.left_out:,} of its facts are not read: there are too many)"
        return [*_where_is(subject, flow, now, around), *fired, Piece(left_out)]
    return [*_where_is(subject, flow, now, around), *fired]


def _fired(flow: Flow, now: datetime) -> Sentence:
    """What became of a flow whose time-out has fired, once nothing of it is open."""
    fired = [each for each in flow.timeouts if each.fired is not None]
    if not fired or flow.going:
        return []
    more = f"; {counted(len(fired) - 1, 'more time-out has', 'more time-outs have')} fired" if len(fired) > 1 else ""
    return [Piece(". Time-out "), Piece(fired[-1].subscription, strong=True), Piece(f" {stands(fired[-1], now)}{more}")]


def _where_is(subject: str, flow: Flow, now: datetime, around: Around) -> Sentence:
    match flow.state:
        case FlowState.ZOMBIE:
            return [Piece(f"{subject} is a zombie: "), *_zombie(flow, now)]
        case FlowState.RUNNING | FlowState.WAITING:
            return _open(subject, flow, now, around)
        case FlowState.COMPENSATED:
            return [
                Piece(f"{subject} {_is(subject, flow)}: "),
                *_undone(flow, now),
                *_but_dead(flow),
                *_but_discarded(flow),
            ]
        case FlowState.FAILED:
            return [Piece(f"{subject} {_is(subject, flow)}: its flow failed, and nothing of it had to be undone")]
        case FlowState.OPEN_LETTER:
            return [Piece(f"{subject} {_is(subject, flow)}, but "), *_dead(flow.dead)]
        case FlowState.DISCARDED:
            return [Piece(f"{subject} {_is(subject, flow)}, but "), *_discarded(flow.discarded)]
        case FlowState.DONE:
            return [Piece(f"{subject} {_is(subject, flow)}: {_ended_well(flow)}")]


def ended_by(subject: str, flow: Flow) -> Said | None:
    """The last event that is about what the subject is: of `order/4711` the last `order.…`."""
    kind = subject.partition("/")[0]
    about = [each for each in flow.events if each.type.partition(".")[0] == kind and each.subject == subject]
    return about[-1] if about else None


def _is(subject: str, flow: Flow) -> str:
    """The verb of the last event about the subject, or of a later failure of another flow that reached this one."""
    subject = flow.subject if subject == "It" else subject
    last = ended_by(subject, flow)
    kind = subject.partition("/")[0]
    beyond = [each for each in flow.reached_by if each.event.type.partition(".")[0] == kind]
    if beyond and (last is None or beyond[-1].time > last.time):
        return f"is {_verb(beyond[-1].event.type)} by another flow"
    return f"is {_verb(last.type)}" if last else "is done"


def _verb(type_: str) -> str:
    return type_.rpartition(".")[2].replace("_", " ")


def _ended_well(flow: Flow) -> str:
    hearers = len(flow.deliveries)
    if not hearers:
        return "nobody is declared to hear it"
    if any(each.stand in {Stand.REFUSED, Stand.OBSOLETE, Stand.STALE} for each in flow.deliveries):
        return "every subscription has settled it"
    return "every subscription has handled it" if hearers > 1 else f"{flow.deliveries[0].subscription} has handled it"


def _open(subject: str, flow: Flow, now: datetime, around: Around) -> Sentence:
    waiting = sorted(flow.waiting, key=lambda each: (each.stand is Stand.EXPECTED, each.since))
    undoing = next((each for each in flow.steps if each.undoing), None)
    if not waiting and not flow.coming and undoing is None and flow.armed:
        return [Piece(f"{subject} is waiting for "), *_armed(flow, now, around)]
    if not waiting and undoing is not None:
        return [Piece(f"{subject} is running: the effect of "), Piece(undoing.name, strong=True), Piece(" is undone")]
    if not waiting:
        return [Piece(f"{subject} is running: {counted(len(flow.coming), 'event')} said and not yet in the log")]
    pieces = [Piece(f"{subject} is waiting for " if flow.state is FlowState.WAITING else f"{subject} is running: ")]
    for at, each in enumerate(waiting[:NAMED]):
        pieces += [*([Piece("; also ")] if at else []), *_waits(each, now, around)]
    if len(waiting) > NAMED:
        pieces.append(Piece(f"; and {len(waiting) - NAMED} more"))
    elif flow.armed:
        pieces += [Piece("; also "), *_armed(flow, now, around)]
    return pieces


def _armed(flow: Flow, now: datetime, around: Around) -> Sentence:
    """The time-out that is due next: `time-out orders.unshipped, due at 14:05:30`."""
    first = flow.armed[0]
    last_heard = around.silent.get(first.service)
    silent = f" ({first.service} has not been heard since {day_and_clock(last_heard, now)})" if last_heard else ""
    more = f"; and {counted(len(flow.armed) - 1, 'more time-out')}" if len(flow.armed) > 1 else ""
    return [
        Piece("time-out "),
        Piece(first.subscription, strong=True),
        Piece(f", {stands(first, now, short=True)}{silent}{more}"),
    ]


def _waits(delivery: Delivery, now: datetime, around: Around) -> Sentence:
    since = day_and_clock(delivery.since, now)
    pieces = [Piece(delivery.subscription, strong=True), Piece(f" since {since}")]
    if delivery.undo_of:
        pieces.append(Piece(f", which undoes {delivery.undo_of}"))
    why = because(delivery, now, around)
    return [*pieces, Piece(f" ({why})")] if why else pieces


def because(delivery: Delivery, now: datetime, around: Around = NOTHING) -> str:
    """Why an open delivery waits, as far as heartbeats (`around`) and receipts say it."""
    if not delivery.open:
        return ""
    parts: list[str] = []
    last_heard = around.silent.get(delivery.service)
    if last_heard is not None:
        parts.append(f"{delivery.service} has not been heard since {day_and_clock(last_heard, now)}")
    gone = around.retired.get(delivery.service)
    if gone is not None:
        why = f": {shortened(gone.reason)}" if gone.reason else ""
        parts.append(
            f"{delivery.service} is gone since {day_and_clock(gone.gone, now)} and was retired by "
            f"{shortened(gone.by) or 'somebody'}{why}"
        )
    breaker = around.breakers.get(delivery.subscription)
    if breaker is not None:
        parts.append(", ".join(each for each in (state_of(breaker, now), goes_on(breaker, now)) if each))
        if (others := around.waiting.get(delivery.subscription, 0) - 1) > 0:
            parts.append(counted(others, "other flow waits for it", "other flows wait for it"))
    last = delivery.last
    if last is not None and not (breaker is not None and last.outcome == "deferred"):
        parts.append(_told(last, now))
    return "; ".join(parts) or "no attempt has ended yet"


def _told(last: Receipt, now: datetime) -> str:
    """What the last receipt says of an open delivery; a moment that has passed is when it became due, no reason."""
    due = ""
    if last.next_at is not None:
        due = f"{'at' if last.next_at >= now else 'due since'} {day_and_clock(last.next_at, now)}"
    if last.outcome == "deferred" and last.cause == "after":
        return f"waits for {first_of(last)}" + (f"; runs all the same {due}" if due else "")
    if last.outcome == "deferred":
        return f"deferred{_deferred(last)}" + (f"; next try {due}" if due else "")
    kind = last.error.partition(":")[0] if last.error else last.cause
    failed = f"attempt {last.attempt} failed: {shortened(kind)}" if kind else f"attempt {last.attempt} failed"
    return failed + (f"; next attempt {due}" if due else "")


def first_of(last: Receipt) -> str:
    """The handler that must handle one of the subject first (RULES 15.4)."""
    return shortened(last.error.partition(" ")[0]) or "another handler"


def _deferred(last: Receipt) -> str:
    """Why an attempt cost nothing: a breaker's words without how long it was open then, or what failed behind it."""
    if last.cause == "breaker":
        return f": {shortened(last.error.partition(' for another')[0])}"
    kind = shortened(last.error.partition(":")[0] or last.cause)
    return f" after {kind}" if kind and last.cause != "deferred" else " by its own wish"


def _zombie(flow: Flow, now: datetime) -> Sentence:
    pieces: list[Piece] = []
    for at, step in enumerate(flow.zombies):
        happened = "may have happened and is not undone" if step.unsure else "is not undone"
        pieces += [*([Piece("; ")] if at else []), Piece(step.name, strong=True), Piece(f" {happened}")]
        undo = next(
            (each for each in flow.dead if each.undo_of == step.name and each.subject == step.subject), None
        )  # fmt: skip
        if undo is not None:
            pieces += [Piece(" ("), *_died(undo), Piece(")")]
        elif (late := next((each for each in flow.waiting if each.undo_of == step.name), None)) is not None:
            since = day_and_clock(late.open_since, now)
            pieces += [Piece(" ("), Piece(late.subscription, strong=True)]
            pieces.append(Piece(f" is open since {since}, longer than all its attempts take)"))
    return pieces


def _undone(flow: Flow, now: datetime) -> Sentence:
    pieces: list[Piece] = []
    for step in (each for each in flow.steps if each.undone):
        by = next((each.subscription for each in flow.deliveries if each.undo_of == step.name), "its undo")
        pieces += [*([Piece("; ")] if pieces else []), Piece(by, strong=True), Piece(" undid ")]
        pieces += [Piece(step.name, strong=True), Piece(f" at {day_and_clock(step.time, now)}")]
    return pieces


def _but_dead(flow: Flow) -> Sentence:
    return [Piece(". But "), *_dead(flow.dead)] if flow.dead else []


def _but_discarded(flow: Flow) -> Sentence:
    return [Piece(". But "), *_discarded(flow.discarded)] if flow.discarded else []


def _dead(dead: Sequence[Delivery]) -> Sentence:
    pieces = list(_died(dead[0]))
    if len(dead) > 1:
        pieces.append(Piece(f", and {counted(len(dead) - 1, 'more delivery', 'more deliveries')} are dead"))
    return pieces


def _died(delivery: Delivery) -> Sentence:
    last = delivery.last
    pieces = [Piece(delivery.subscription, strong=True)]
    if last is None:
        return [*pieces, Piece(" is dead")]
    error = shortened(last.error or last.cause)
    pieces.append(Piece(f" is dead after {counted(last.attempt, 'attempt')}"))
    return [*pieces, Piece(f": {error}")] if error else pieces


def _discarded(found: Sequence[Delivery]) -> Sentence:
    first = found[0]
    pieces = [Piece(first.subscription, strong=True), Piece(" was discarded")]
    if first.last is not None:
        pieces.append(Piece(f" by {shortened(first.last.by) or 'somebody'}"))
        pieces += [Piece(f": {shortened(first.last.reason)}")] if first.last.reason else []
    if len(found) > 1:
        pieces.append(Piece(f", and {counted(len(found) - 1, 'more delivery', 'more deliveries')} too"))
    return pieces


def shortened(text: str) -> str:
    """The first line of a text, cut."""
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line if len(line) <= ERROR_CHARS else f"{line[: ERROR_CHARS - 1]}…"


def overview(counts: Iterable[tuple[str, int]], dead: int, unheard: str = "") -> Sentence:
    """The overview's first line: what is not heard, and what needs a person; else that nothing does."""
    many = dict(counts)
    parts: list[str] = []
    if zombies := many.get("zombie", 0):
        parts.append(counted(zombies, "flow is a zombie", "flows are zombies"))
    if dead:
        parts.append(counted(dead, "flow has an open letter", "flows have open letters"))
    if parts or unheard:
        return [Piece(". ".join(each for each in (unheard, ", ".join(parts)) if each), strong=True)]
    moving = many.get("running", 0) + many.get("waiting", 0)
    if moving:
        return [Piece(f"Nothing needs a person; {counted(moving, 'flow is', 'flows are')} under way", strong=True)]
    if any(many.values()):
        return [Piece("Nothing needs a person, and nothing is under way", strong=True)]
    return [Piece("No event has been said yet", strong=True)]


def unheard(own: Own, services: Sequence[ServiceSeen], now: datetime) -> str:
    """What the tracer does not hear, as the overview's first line says it; "" where it hears everything.

    While the tracer itself hears nothing or is behind, it cannot tell which service is silent.
    """
    if own.deaf and own.read_at is not None:
        return (
            f"The tracer has heard nothing since {day_and_clock(own.read_at, now)}, not even its own heartbeat: "
            "what follows is how it stood then"
        )
    if own.behind is not None and own.behind > GONE.total_seconds():
        return f"The tracer is {duration(own.behind)} behind: what is newer is not shown yet"
    silent = sorted((each for each in services if each.silent), key=lambda each: each.last, reverse=True)
    if not silent:
        return ""
    names = ", ".join(shortened(each.name) for each in silent[:NAMED])
    more = f" and {len(silent) - NAMED} more" if len(silent) > NAMED else ""
    verb = "has" if len(silent) == 1 else "have"
    return f"{names}{more} {verb} not been heard since {day_and_clock(silent[0].last, now)}"
