"""What `hocket check` finds in time-outs that each service alone declares rightly (RULES 5.7 g, h). Pure.

It knows the services that are checked together; what others say is unknown and no finding.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from hocket.declarations.choreography import Declarations
from hocket.declarations.subscription import Overdue, Subscription
from hocket.event import Heard


def overdue_refusals(declared: Sequence[Declarations]) -> Iterator[str]:
    """`late-standing`: what the time-out takes back stays done where the answer is late. Such services are refused."""
    every = _subscriptions(declared)
    for each, overdue in _overdue(every):
        if overdue.late != "undone":
            continue
        says = _types(each.says)
        for speaker in every:
            answers = sorted(_answers(speaker, each, overdue))
            if not answers or speaker is each or says & _undone_by(speaker):
                continue
            how = "is undone by other events" if speaker.undone_by else "has no undo"
            yield (
                f"late-standing: {each.queue} goes on when {answers[0]} is late, and {speaker.queue}, which says it, "
                f'{how}: both would stand. Let its undo take {_shown(says)} too, or write late="accepted" where a '
                "late answer may stand"
            )


def overdue_findings(declared: Sequence[Declarations]) -> Iterator[str]:
    """`overdue-unended`, `overdue-short` and `overdue-unheard`, a sentence each, by time-out."""
    every = _subscriptions(declared)
    for each, overdue in _overdue(every):
        yield from _unended(each, overdue, every)
        yield from _short(each, overdue, every)
        if len(declared) > 1:
            yield from _unheard(each, every)


def _unended(each: Subscription, overdue: Overdue, every: Sequence[Subscription]) -> Iterator[str]:
    """A failure of the flow that does not answer the time-out, which then fires for a flow that was undone already."""
    flow = _flow_of(_types(each.heard), every)
    failures = {type_ for other in every for type_ in _undone_by(other)} & flow
    for failure in sorted(failures - _types(overdue.unless) - _types(each.says) - _types(each.on_dead_says)):
        yield (
            f"overdue-unended: {each.queue} fires also in a flow that {failure} has undone; add it to unless=, so that "
            "it answers"
        )


def _short(each: Subscription, overdue: Overdue, every: Sequence[Subscription]) -> Iterator[str]:
    """A time-out that is over while what it waits for may still be tried again."""
    for speaker in every:
        answers = sorted(_answers(speaker, each, overdue))
        if answers and speaker is not each and (longest := _longest(speaker)) > overdue.within:
            yield (
                f"overdue-short: {each.queue} waits {_seconds(overdue.within)} for {answers[0]}, and {speaker.queue} "
                f"may need {_seconds(longest)} with all its retries; wait longer, or let it retry for less"
            )


def _unheard(each: Subscription, every: Sequence[Subscription]) -> Iterator[str]:
    """What a time-out says in vain."""
    heard = {type_ for other in every for type_, _ in other.bound}
    for type_ in sorted(_types(each.says) - heard):
        yield f"overdue-unheard: {each.queue} says {type_}, and none of these services hears it"


def _subscriptions(declared: Sequence[Declarations]) -> list[Subscription]:
    return [each for one in declared for each in one.subscriptions.values()]


def _overdue(every: Sequence[Subscription]) -> Iterator[tuple[Subscription, Overdue]]:
    for each in every:
        if each.overdue is not None:
            yield each, each.overdue


def _answers(speaker: Subscription, each: Subscription, overdue: Overdue) -> set[str]:
    """What a subscription says that answers the time-out; what the time-out says itself stands beside nothing."""
    return _types(speaker.says) & _types(overdue.unless) - _types(each.says)


def _types(models: Sequence[type[Heard]]) -> set[str]:
    return {model.__hocket_type__ for model in models}


def _undone_by(step: Subscription) -> set[str]:
    """The types of the failures that undo a step."""
    undo = step.undone_by.undo if step.undone_by is not None else None
    return _types((*undo.why, *undo.spoken)) if undo is not None else set()


def _flow_of(types: set[str], every: Sequence[Subscription]) -> set[str]:
    """Every type that may be said in a flow in which one of these is said."""
    flow = set(types)
    while True:
        before = len(flow)
        for each in every:
            said = _types((*each.says, *each.scheduled, *each.on_dead_says))
            heard = {type_ for type_, _ in each.bound} or _types(each.heard)
            if said & flow:
                flow |= _types(each.heard)
            if heard & flow:
                flow |= said
        if len(flow) == before:
            return flow


def _longest(speaker: Subscription) -> timedelta:
    """All attempts of a handler with the longest waits between them."""
    waits = [speaker.retry.bound(used) for used in range(1, speaker.retry.attempts)]
    return sum(waits, speaker.timeout * speaker.retry.attempts)


def _shown(types: set[str]) -> str:
    return " or ".join(sorted(types)) or "what the time-out says, which is nothing yet,"


def _seconds(time: timedelta) -> str:
    return f"{time.total_seconds():g} s"
