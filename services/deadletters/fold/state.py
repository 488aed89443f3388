"""Computes the state of a letter from the set of its facts; their order does not matter. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from hocket import saga
from hocket.envelope import UNDO_TYPE


class State(StrEnum):
    """Where a letter stands (docs/console.md §4); `replaying` is pending with a replay that is not answered yet."""

    PENDING = "pending"
    REPLAYING = "replaying"
    HANDLED = "handled"
    DISCARDED = "discarded"
    OBSOLETE = "obsolete"


#: States that wait for a person or for a receipt.
OPEN = (State.PENDING, State.REPLAYING)


@dataclass(frozen=True, slots=True, order=True)
class Death:
    """One arrival: the part of it that decides the state."""

    attempt: int
    time: str
    cause: str = ""
    spoke: bool = False
    by_broker: bool = False


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt about the letter's event and subscription, or about a replay of the letter."""

    outcome: str
    attempt: int
    time: str
    replay: str = ""
    next_at: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """What a person did: `base` is the death it was about, `attempt` the one a replay asks for."""

    kind: str  # replay, discard
    time: str
    base: tuple[int, str]
    attempt: int = 0
    replay: str = ""
    who: str = ""
    reason: str = ""
    tried: float = 0.0  # seconds since 1970 of the last send
    sent_at: str = ""
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """The state, how often it failed again, what settled it, and the replay that is under way."""

    state: State
    again: int = 0
    settled: Receipt | None = None
    replay: Act | None = None


def standing(deaths: Sequence[Death], receipts: Sequence[Receipt], acts: Sequence[Act]) -> Standing:
    """The state of a letter from the set of its facts (RULES 8.2).

    A receipt `handled`, `obsolete` or `stale` settles when it is of a later attempt than the last death; of a death
    made by the broker, which may have killed what was already handled, the same attempt settles too. A `conflict`
    letter has the event id of the delivery that won, so receipts without a replay of the desk say nothing about it.
    """
    last = max(deaths)
    again = len(deaths) - 1
    asked = {act.replay for act in acts if act.replay}
    about = [each for each in receipts if last.cause != "conflict" or each.replay in asked]

    def settles(receipt: Receipt) -> bool:
        return receipt.attempt > last.attempt or (last.by_broker and receipt.attempt == last.attempt)

    handled = [each for each in about if each.outcome == "handled" and settles(each)]
    if handled:
        return Standing(State.HANDLED, again, settled=min(handled, key=_when))
    gone = [each for each in about if each.outcome in {"obsolete", "refused", "stale"} and settles(each)]
    if gone:
        return Standing(State.OBSOLETE, again, settled=min(gone, key=_when))
    if last.spoke:
        return Standing(State.OBSOLETE, again)
    if any(act.kind == "discard" and act.base >= (last.attempt, last.time) for act in acts):
        return Standing(State.DISCARDED, again)
    replay = _under_way(last, about, acts)
    if replay is None:
        return Standing(State.PENDING, again)
    return Standing(State.REPLAYING, again, replay=replay)


def asks_for(state: State, type: str) -> saga.Standing:
    """What a letter of an event of this type asks of a person (RULES 5.8): that of an undo leaves a zombie.

    A failure that died on the queue of an undo is an open letter here: whether its step ever ran stands in the flow.
    """
    if type != UNDO_TYPE:
        return saga.standing(None, letter=state in OPEN)
    undo = saga.UndoStand.DEAD if state in OPEN else saga.UndoStand.NONE
    return saga.standing(saga.LedgerState.UNDOING, undo=undo)


def _when(receipt: Receipt) -> tuple[int, str]:
    return receipt.attempt, receipt.time


def _under_way(last: Death, receipts: Sequence[Receipt], acts: Sequence[Act]) -> Act | None:
    """The newest replay that neither died again nor met an inbox that knew it already."""
    known = {each.replay for each in receipts if each.outcome == "duplicate"}
    open_ = [act for act in acts if act.kind == "replay" and act.attempt > last.attempt and act.replay not in known]
    return max(open_, key=lambda act: act.time, default=None)


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def sentence(state: State, again: int) -> str:
    """The letter's state in words (docs/console.md §4)."""
    if state is State.PENDING and again:
        return f"failed again {times(again)}"
    return state.value
