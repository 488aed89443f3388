"""What a letter's facts mean: its state, and what a replay would do. Pure; whatever the order of the facts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Seconds within which a send that has not answered is taken to be still under way.
SENDING_SECONDS = 30.0


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
    """One arrival, as far as it decides the state."""

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
    progress: Receipt | None = None  # the newest receipt of that replay


def standing(deaths: Sequence[Death], receipts: Sequence[Receipt], acts: Sequence[Act]) -> Standing:
    """The state of a letter from the set of its facts (RULES 8.2).

    A `handled` or `obsolete` receipt settles when it is of a later attempt than the last death; of a death made by
    the broker, which may have killed what was already handled, the same attempt settles too. A `conflict` letter has
    the event id of the delivery that won, so receipts without a replay of the desk say nothing about it.
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
    gone = [each for each in about if each.outcome in {"obsolete", "refused"} and settles(each)]
    if gone:
        return Standing(State.OBSOLETE, again, settled=min(gone, key=_when))
    if last.spoke:
        return Standing(State.OBSOLETE, again)
    if any(act.kind == "discard" and act.base >= (last.attempt, last.time) for act in acts):
        return Standing(State.DISCARDED, again)
    replay = _under_way(last, about, acts)
    if replay is None:
        return Standing(State.PENDING, again)
    told = [each for each in about if each.replay == replay.replay]
    return Standing(State.REPLAYING, again, replay=replay, progress=max(told, key=_when, default=None))


def _when(receipt: Receipt) -> tuple[int, str]:
    return receipt.attempt, receipt.time


def _under_way(last: Death, receipts: Sequence[Receipt], acts: Sequence[Act]) -> Act | None:
    """The newest replay that neither died again nor met an inbox that knew it already."""
    known = {each.replay for each in receipts if each.outcome == "duplicate"}
    open_ = [act for act in acts if act.kind == "replay" and act.attempt > last.attempt and act.replay not in known]
    return max(open_, key=lambda act: act.time, default=None)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a plan needs to know of a letter."""

    subscription: str
    attempt: int
    cause: str
    spoke: bool
    type: str
    subject: str
    binary: bool  # attributes stood in headers


@dataclass(frozen=True, slots=True)
class Hearer:
    """What the letter's service last said of itself."""

    known: bool = False
    says: tuple[str, ...] = ()
    breaker: str = ""
    breaker_state: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a replay would do; `refusal` is the sentence why it would not, "" when it would."""

    subscription: str
    attempt: int
    refusal: str = ""
    repeats: str = ""  # the replay id of a failed send that would be sent again
    warnings: tuple[str, ...] = ()
    then: str = ""


WARNINGS: Mapping[str, str] = {
    "undecodable": "It could not be read. The same bytes are read again: it dies again unless the reader has changed.",
    "invalid": "Its data broke the model. The same data is read again: it dies again unless the model has changed.",
    "version": "Nobody read this version. It dies again unless the service has learnt to read it meanwhile.",
}


def plan(letter: Subject, now: Standing, hearer: Hearer, clock: float) -> Plan:
    """Decide what a replay at `clock` (seconds since 1970) would do, without doing it."""
    attempt = letter.attempt + 1
    refusal, repeats = _refusal(letter, now, clock), ""
    if not refusal and now.replay is not None:
        attempt, repeats = now.replay.attempt, now.replay.replay
    return Plan(letter.subscription, attempt, refusal, repeats, tuple(_warnings(letter, now, hearer)), _then(hearer))


def _refusal(letter: Subject, now: Standing, clock: float) -> str:
    match now.state:
        case State.HANDLED:
            return "It is handled already: there is nothing to replay."
        case State.OBSOLETE if letter.spoke:
            return "What its on_dead said stands: a replay would end obsolete, so nothing is sent."
        case State.OBSOLETE:
            return "It is obsolete: its flow was undone or had failed, so nothing is sent."
        case State.DISCARDED:
            return "It was discarded: nothing is sent."
        case State.REPLAYING if now.replay is not None:
            return _still(now.replay, clock)
        case _:
            pass
    if letter.cause == "conflict":
        return (
            "It is a conflict: the subscription knows this key with other data. As it is, it would end the same way; "
            "discard it, or have the event said anew under a key of its own."
        )
    return ""


def _still(replay: Act, clock: float) -> str:
    """Why a replay that is under way is not sent again; "" where its send failed or never ended."""
    if replay.sent_at:
        return f"It is being replayed since {replay.sent_at} (attempt {replay.attempt}): no receipt has come yet."
    if replay.failure or clock - replay.tried > SENDING_SECONDS:
        return ""
    return f"It is being sent right now (attempt {replay.attempt}): look again in a moment."


def _warnings(letter: Subject, now: Standing, hearer: Hearer) -> list[str]:
    said: list[str] = []
    if now.again:
        said.append(f"It failed again {times(now.again)} already: is the cause mended?")
    if letter.cause in WARNINGS:
        said.append(WARNINGS[letter.cause])
    if letter.binary:
        said.append("It came with its attributes in headers: it is sent as one structured envelope, same id and key.")
    if hearer.breaker_state in {"open", "half-open"}:
        said.append(
            f"Breaker {hearer.breaker} is {hearer.breaker_state}: sent now, it waits in the service "
            "and costs no attempt."
        )
    if not hearer.known:
        said.append("The service has not reported itself yet: whether anybody takes it is not known.")
    return said


def _then(hearer: Hearer) -> str:
    if not hearer.known:
        return "What follows is not known."
    if not hearer.says:
        return "It says nothing, so nothing else follows."
    return f"If it is handled, it may say {', '.join(hearer.says)}."


def times(count: int) -> str:
    """`once`, `twice`, `3 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def sentence(state: State, again: int) -> str:
    """The letter's state in words (docs/console.md §4)."""
    if state is State.PENDING and again:
        return f"failed again {times(again)}"
    return state.value
