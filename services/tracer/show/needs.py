"""What needs a person, grouped by its cause, the worst first. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.show.sentences import Piece, Sentence, shortened, where_is


class Need(NamedTuple):
    """One row: a state, its cause, whose it is, how many flows, since when."""

    state: str
    kind: str  # which table of marks the state is of
    key: str
    sentence: Sentence
    owner: str
    flows: int
    since: datetime | None
    subject: str  # of the oldest flow
    flow: str


def needs_of(flows: Iterable[Flow], known: Knowledge, now: datetime) -> list[Need]:
    """Zombies one by one, dead letters by subscription and cause; each kind the oldest first."""
    found: dict[str, Need] = {}
    for flow in flows:
        for need in _needs(flow, known, now):
            before = found.get(need.key)
            if before is None:
                found[need.key] = need
            else:
                found[need.key] = before._replace(flows=before.flows + 1)
    return sorted(found.values(), key=lambda each: (each.state != "zombie", each.since or now, each.key))


def _needs(flow: Flow, known: Knowledge, now: datetime) -> Iterable[Need]:
    if flow.state is FlowState.ZOMBIE:
        step = flow.zombies[0]
        yield Need(
            "zombie", "flow", f"zombie {flow.id}", where_is(flow.subject, flow, now),
            known.owner(step.name.partition(".")[0]), 1, flow.began, flow.subject, flow.id,
        )  # fmt: skip
        return
    seen: set[str] = set()
    for dead in flow.dead:
        why = _cause(dead.last.error or dead.last.cause) if dead.last else ""
        key = f"dead {dead.subscription} {why}"
        if key in seen:
            continue
        seen.add(key)
        sentence = [Piece(dead.subscription, strong=True), Piece(f" gave up: {why}" if why else " gave up")]
        yield Need(
            "dead", "subscription", key, sentence, known.owner(dead.service), 1,
            dead.last.over if dead.last else flow.began, flow.subject, flow.id,
        )  # fmt: skip


def _cause(text: str) -> str:
    """What failed without what differs from one to the next: the class of the error."""
    return shortened(text.partition(":")[0])
