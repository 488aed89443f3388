"""What needs a person, grouped by its cause, the worst first. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from services.tracer.ask.knowledge import Knowledge
from services.tracer.fold.flow import Flow, FlowState
from services.tracer.show.sentences import Piece, Sentence, plain, shortened


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
    """Zombies by step and by what its undo died of, dead letters by subscription and cause; the oldest first."""
    found: dict[str, Need] = {}
    for flow in flows:
        for need in _needs(flow, known):
            before = found.get(need.key)
            if before is None:
                found[need.key] = need
            else:
                found[need.key] = before._replace(flows=before.flows + 1)
    return sorted(found.values(), key=lambda each: (each.state != "zombie", each.since or now, each.key))


def _needs(flow: Flow, known: Knowledge) -> Iterable[Need]:
    if flow.state is FlowState.ZOMBIE:
        yield _zombie(flow, known)
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


def _zombie(flow: Flow, known: Knowledge) -> Need:
    step = flow.zombies[0]
    happened = "may have happened and is not undone" if step.unsure else "is not undone"
    sentence = [Piece(step.name, strong=True), Piece(f" {happened}")]
    undo = next((each for each in flow.dead if each.undo_of == step.name), None)
    if undo is not None:
        why = _cause(undo.last.error or undo.last.cause) if undo.last else ""
        sentence += [
            Piece(": "),
            Piece(undo.subscription, strong=True),
            Piece(f" gave up: {why}" if why else " gave up"),
        ]
    key = f"zombie {plain(sentence)}"
    owner = known.owner(step.name.partition(".")[0])
    return Need("zombie", "flow", key, sentence, owner, 1, flow.began, flow.subject, flow.id)


def _cause(text: str) -> str:
    """What failed without what differs from one to the next: the class of the error."""
    return shortened(text.partition(":")[0])
