"""What needs a person or waits, grouped by its cause, the worst first: whose it is, and how it ends. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from hocket.console import counted
from services.tracer.ask.breakers import BreakerSeen
from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.deliveries import Delivery
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.fold.steps import Step
from services.tracer.show.breaker_words import goes_on, state_of, waits, why
from services.tracer.show.sentences import Piece, Sentence, plain, shortened

#: In which order the kinds stand: an effect that must not stand, somebody's work, what a person holds, what waits.
_RANK = {"zombie": 0, "open-letter": 1, "held": 2, "open": 3, "half-open": 4}
#: Breakers that are not closed and stand in the list.
MAX_SHUT = 30


class Need(NamedTuple):
    """One row: a state, its cause, whose it is, how many flows, since when, and how it ends."""

    state: str
    kind: str  # which table of marks the state is of
    key: str
    sentence: Sentence
    owner: str
    flows: int
    since: datetime | None
    subject: str = ""  # of the oldest flow
    flow: str = ""
    letter: str = ""  # the death of the oldest, for the desk
    way_out: str = ""  # what ends it


def needs_of(
    flows: Iterable[Flow], known: Knowledge, now: datetime, breakers: Sequence[BreakerSeen] = ()
) -> list[Need]:
    """Zombies by step and by what its undo died of, open letters by subscription and cause, breakers not closed.

    Of each kind the oldest first.
    """
    found: dict[str, Need] = {}
    for flow in flows:
        for need in _needs(flow, known):
            before = found.get(need.key)
            if before is None:
                found[need.key] = need
            else:
                found[need.key] = before._replace(flows=before.flows + 1)
    shut = [each for each in breakers if each.shut][:MAX_SHUT]
    every = [*found.values(), *(_shut(each, now) for each in shut)]
    return sorted(every, key=lambda each: (_RANK[each.state], each.since or now, each.key))


def _needs(flow: Flow, known: Knowledge) -> Iterable[Need]:
    if flow.state is FlowState.ZOMBIE:
        yield _zombie(flow, known)
        return
    seen: set[str] = set()
    for dead in flow.dead:
        cause = _cause(dead)
        key = f"dead {dead.subscription} {cause}"
        if key in seen:
            continue
        seen.add(key)
        what = "the time-out has fired, and it gave up" if dead.overdue else "gave up"
        sentence = [Piece(dead.subscription, strong=True), Piece(f" {what}: {cause}" if cause else f" {what}")]
        yield Need(
            "open-letter", "flow", key, sentence, known.owner(dead.service), 1,
            dead.last.over if dead.last else flow.began, flow.subject, flow.id, dead.last.death if dead.last else "",
            "replay the letter, or discard it",
        )  # fmt: skip


def _zombie(flow: Flow, known: Knowledge) -> Need:
    step = flow.zombies[0]
    happened = "may have happened and is not undone" if step.unsure else "is not undone"
    sentence = [Piece(step.name, strong=True), Piece(f" {happened}")]
    undo = undo_of(flow, step)
    if undo is not None:
        cause = _cause(undo)
        sentence += [
            Piece(": "),
            Piece(undo.subscription, strong=True),
            Piece(f" gave up: {cause}" if cause else " gave up"),
        ]
    key = f"zombie {plain(sentence)}"
    owner = known.owner(step.name.partition(".")[0])
    letter = undo.last.death if undo is not None and undo.last else ""
    return Need(
        "zombie", "flow", key, sentence, owner, 1, flow.began, flow.subject, flow.id, letter, way_out(flow, step)
    )


def undo_of(flow: Flow, step: Step) -> Delivery | None:
    """The dead delivery that was to undo this run."""
    return next((each for each in flow.dead if each.undo_of == step.name and each.subject == step.subject), None)


def way_out(flow: Flow, step: Step) -> str:
    """What ends this zombie, and who does it."""
    undo = undo_of(flow, step)
    if undo is not None:
        return f"replay the letter of {undo.subscription}; or mend it by hand, then discard the letter"
    late = next((each for each in flow.waiting if each.undo_of == step.name), None)
    if late is not None:
        return f"see why {late.subscription} is not done: it ends by itself once it is handled"
    return "replay or discard the letters of this flow"


def _shut(breaker: BreakerSeen, now: datetime) -> Need:
    reason, many = why(breaker), waits(breaker)
    clause = state_of(breaker, now).removeprefix(f"breaker {breaker.name} ")
    told = f": {reason}" if reason and breaker.state != "half-open" else ""
    sentence = [
        Piece(breaker.service, strong=True), Piece(" waits for "), Piece(breaker.name, strong=True),
        Piece(f", which {clause}{told}. {many or 'No flow waits for it'}"),
    ]  # fmt: skip
    by_hand = f"hocket breaker close MODULE {breaker.name} --reason …" if breaker.state == "held" else ""
    way = "; ".join(each for each in (goes_on(breaker, now), by_hand) if each)
    if breaker.state != "held":
        way = f"goes on by itself: {way}" if way else "goes on by itself"
    return Need(
        breaker.state, "breaker", f"breaker {breaker.service} {breaker.name}", sentence, breaker.owner, breaker.flows,
        breaker.since, way_out=way,
    )  # fmt: skip


def needing(needs: Sequence[Need]) -> str:
    """What the head of the list says: how many need a person, and how many end by themselves."""
    alone = sum(each.kind == "breaker" and each.state != "held" for each in needs)
    parts = [f"{len(needs) - alone}, worst first" if len(needs) > alone else "nothing"]
    if alone:
        parts.append(counted(alone, "more goes on by itself", "more go on by themselves"))
    return ", ".join(parts)


def _cause(delivery: Delivery) -> str:
    """What failed without what differs from one to the next: the class of the error."""
    last = delivery.last
    return shortened((last.error or last.cause).partition(":")[0]) if last else ""
