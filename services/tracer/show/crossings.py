"""What leads from one flow to another: failures and the steps that they reached, time-outs and what answered. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from hocket.console.facts import Receipt
from services.tracer.fold.flow import Flow
from services.tracer.show.sentences import Piece, Sentence


class Crossing(NamedTuple):
    """One row: a mark, what happened, and the flow at the other end ("": there is none)."""

    kind: str  # which table of marks the state is of
    state: str
    time: datetime
    sentence: Sentence
    flow: str
    event: str  # id of the event that crossed
    delivery: str  # where it was handled: `SUBSCRIPTION~EVENT`, as the lanes name a run


def crossings_of(flow: Flow) -> list[Crossing]:
    """What came into this flow from others and what went from it to others, in order of time.

    A failure that found no run is one too: it leads nowhere, and that is said.
    """
    found = [*_failures(flow), *_timeouts(flow)]
    return sorted(found, key=lambda each: (each.time, each.event, each.flow))


def _failures(flow: Flow) -> Iterable[Crossing]:
    for each in flow.reached:
        said = Piece(each.event.type, strong=True)
        if not each.flows_reached:
            sentence = [said, Piece(" found no run of "), Piece(each.step, strong=True)]
            yield _crossing(each, "failure", "none", sentence, "")
        for other in each.flows_reached:
            if other != flow.id:
                sentence = [said, Piece(" reached "), Piece(each.step, strong=True), Piece(", a step of another flow")]
                yield _crossing(each, "failure", "reached", sentence, other)
    for each in flow.reached_by:
        sentence = [
            Piece(each.event.type, strong=True), Piece(" of another flow reached "), Piece(each.step, strong=True),
        ]  # fmt: skip
        yield _crossing(each, "failure", "reached", sentence, each.correlationid)


def _timeouts(flow: Flow) -> Iterable[Crossing]:
    for each in flow.answers_elsewhere:
        if each.timer is not None:
            yield _crossing(each, "timeout", *_word(each, "of another flow"), each.timer.flow)
    for timeout in flow.timeouts:
        for answer in timeout.answers:
            if answer.flow:
                state = "late" if answer.late is not None else "met"
                word = "came too late for" if answer.late is not None else "met"
                sentence = [
                    Piece(answer.type, strong=True), Piece(f" of another flow {word} time-out "),
                    Piece(timeout.subscription, strong=True),
                ]  # fmt: skip
                place = f"{timeout.subscription}~{answer.event_id}"
                yield Crossing("timeout", state, answer.at, sentence, answer.flow, answer.event_id, place)
        if timeout.moved_to and timeout.periods:
            sentence = [Piece("time-out "), Piece(timeout.subscription, strong=True), Piece(" was armed anew")]
            place = f"{timeout.subscription}~{timeout.periods[-1].event_id}"
            moment = timeout.periods[-1].end or timeout.since
            yield Crossing("timeout", "moved", moment, sentence, timeout.moved_to, "", place)


def _word(receipt: Receipt, whose: str) -> tuple[str, Sentence]:
    timer = receipt.timer
    assert timer is not None
    said, name = Piece(receipt.event.type, strong=True), Piece(receipt.subscription, strong=True)
    if timer.late is not None:
        return "late", [said, Piece(" came too late for time-out "), name, Piece(f" {whose}")]
    if timer.state == "armed":
        return "moved", [said, Piece(" armed anew time-out "), name, Piece(f" {whose}")]
    return "met", [said, Piece(" met time-out "), name, Piece(f" {whose}")]


def _crossing(receipt: Receipt, kind: str, state: str, sentence: Sentence, flow: str) -> Crossing:
    place = f"{receipt.subscription}~{receipt.event.id}"
    return Crossing(kind, state, receipt.over, sentence, flow, receipt.event.id, place)
