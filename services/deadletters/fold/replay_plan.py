"""Decides what a replay would do, or why it is refused, without doing it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from services.deadletters.fold.state import OPEN, Act, Standing, State, times

#: Seconds for which a send without an answer counts as still under way.
SENDING_SECONDS = 30.0
#: Seconds for which a replay that was sent is expected to be answered; after that its letter may be discarded.
REPLAY_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True)
class Candidate:
    """The letter that would be replayed, as far as the plan depends on it."""

    subscription: str
    attempt: int
    cause: str
    spoke: bool
    binary: bool  # its attributes stood in headers


@dataclass(frozen=True, slots=True)
class Hearer:
    """What the letter's service last reported of itself."""

    known: bool = False  # it has reported this subscription
    says: tuple[str, ...] = ()
    breaker: str = ""
    breaker_state: str = ""
    lists: bool = True  # False: it has reported itself, and without this subscription


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
    "undecodable": "It could not be decoded. A replay sends the same bytes; it dies again unless the service changed.",
    "misrouted": "It said to be another event than it was published as: somebody published it by a false routing key.",
    "invalid": "Its data does not fit the model. A replay sends the same data; it dies again unless the model changed.",
    "version": "The service could not read this version: it dies again unless the service reads it now.",
}


def plan(letter: Candidate, now: Standing, hearer: Hearer, clock: float) -> Plan:
    """Decide what a replay at `clock` (seconds since 1970) would do, without doing it."""
    attempt = letter.attempt + 1
    refusal, repeats = _refusal(letter, now, clock), ""
    if not refusal and not hearer.lists:
        refusal = _unlisted(letter.subscription)
    if not refusal and now.replay is not None:
        attempt, repeats = now.replay.attempt, now.replay.replay
    return Plan(letter.subscription, attempt, refusal, repeats, tuple(_warnings(letter, now, hearer)), _then(hearer))


def _refusal(letter: Candidate, now: Standing, clock: float) -> str:
    match now.state:
        case State.HANDLED:
            return "It is handled already: there is nothing to replay."
        case State.OBSOLETE if letter.spoke:
            return "Its on_dead said what follows, and that stands: a replay would end obsolete, so nothing is sent."
        case State.OBSOLETE if now.settled is not None and now.settled.outcome == "stale":
            return "It is stale: a newer one of its subject was handled, so nothing is sent."
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
            "It is a conflict: the subscription has handled this key with other data. A replay would end the same way; "
            "discard it, or say the event again under another key."
        )
    return ""


def _unlisted(subscription: str) -> str:
    service = subscription.partition(".")[0]
    return (
        f"{service} no longer lists {subscription}: nobody would take it. Start a version of {service} that has it, "
        "or discard the letter."
    )


def discard_refusal(now: Standing, hearer: Hearer, clock: float) -> str:
    """Why a letter would not be discarded; "" where it would.

    What a replay has sent cannot be called back: while its receipt may still come, a discard would only hide it.
    """
    if now.state not in OPEN:
        return f"It is {now.state} already: there is nothing to discard."
    if now.replay is None or not hearer.lists or now.replay.failure:
        return ""
    if now.replay.sent_at and clock - now.replay.tried < REPLAY_SECONDS:
        return (
            f"A replay was sent at {now.replay.sent_at} (attempt {now.replay.attempt}) and cannot be called back: wait "
            f"for its receipt, or discard it {REPLAY_SECONDS / 3600:.0f} h after it was sent."
        )
    return "" if now.replay.sent_at else _still(now.replay, clock)


def _still(replay: Act, clock: float) -> str:
    """Why a replay that is under way is not sent again; "" where its send failed or never ended."""
    if replay.sent_at:
        return f"A replay was sent at {replay.sent_at} (attempt {replay.attempt}): no receipt has come yet."
    if replay.failure or clock - replay.tried > SENDING_SECONDS:
        return ""
    return f"A replay is being sent right now (attempt {replay.attempt}): try again in {SENDING_SECONDS:.0f} s."


def _warnings(letter: Candidate, now: Standing, hearer: Hearer) -> list[str]:
    said: list[str] = []
    if now.again:
        said.append(f"It failed again {times(now.again)} already: is the cause fixed?")
    if letter.cause in WARNINGS:
        said.append(WARNINGS[letter.cause])
    if letter.binary:
        said.append(
            "It came with its attributes in headers: it is sent as one structured envelope with the same id and key."
        )
    if hearer.breaker_state in {"open", "half-open"}:
        said.append(
            f"Breaker {hearer.breaker} is {hearer.breaker_state}: sent now, it waits in the service "
            "and costs no attempt."
        )
    if not hearer.known:
        said.append("The service has not reported itself yet: it is not known whether the subscription exists.")
    return said


def _then(hearer: Hearer) -> str:
    if not hearer.known:
        return "What follows is not known."
    if not hearer.says:
        return "It says nothing, so nothing else follows."
    return f"If it is handled, it may say {', '.join(hearer.says)}."
