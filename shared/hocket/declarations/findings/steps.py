"""Findings about steps: what acts outside and cannot be undone, failures that undo nothing, open periods. Pure.

They know the services that are checked together; what others say is unknown and no finding.
"""

from collections.abc import Iterator
from datetime import timedelta

from hocket.declarations.findings.finding import Finding, found, seconds, types_of
from hocket.declarations.findings.flows import Flows, failures_of, heard_by
from hocket.declarations.subscription import Subscription


def step_findings(flows: Flows, shortest: timedelta) -> Iterator[Finding]:
    """`step-without-undo`, `failure-undoes-nothing` and `period-short`, by subscription.

    `shortest` is the shortest period for which replicas keep a breaker open (RULES 6.3).
    """
    undone = {type_ for each in flows.every for type_ in failures_of(each)}
    seen: set[int] = set()
    for each in flows.every:
        yield from _without_undo(each)
        if flows.together:
            yield from _undoes_nothing(each, undone, flows)
        if each.breaker is not None and id(each.breaker) not in seen:
            seen.add(id(each.breaker))
            yield from _short_period(each, shortest)


def _without_undo(each: Subscription) -> Iterator[Finding]:
    """A handler that calls the outside, says that it did, and cannot take it back."""
    said = types_of((*each.says, *each.scheduled))
    if each.breaker is None or not said or each.undo is not None or each.undone_by is not None:
        return
    way_out = "declare its undo, or call what cannot be undone last and allow it with a reason"
    if each.overdue is not None:
        way_out = "let a handler that hears what it says make the call, with an undo, or allow it with a reason"
    yield found(
        "step-without-undo",
        each.call,
        each.allow,
        f"{each.queue} calls the outside ({each.breaker.name}), says {_names(said)}, and has no undo: when its flow "
        "fails, what it did stays",
        way_out,
    )


def _undoes_nothing(each: Subscription, undone: set[str], flows: Flows) -> Iterator[Finding]:
    """A failure said here by which no step before it is undone."""
    spoken = types_of(each.on_dead_says)
    ahead = flows.before(heard_by(each))
    earlier = [
        step for step in flows.every if step.undone_by is not None and step is not each and types_of(step.says) & ahead
    ]
    for failure in sorted(spoken | (types_of((*each.says, *each.scheduled)) & undone)):
        takers = [step for step in flows.every if step is not each and failure in failures_of(step)]
        if any(_reaches(each, step, flows) for step in takers):
            continue
        if earlier:
            names = _names({step.queue for step in earlier})
            what = f"undoes none of the steps before it ({names}): what they did stays"
            way_out = f"let their undos hear {failure} too"
        elif failure in failures_of(each) or (failure not in spoken and not takers):
            continue  # its own undo takes it, and nothing has happened before
        else:
            what = "undoes no step of its flow"
            way_out = "let the undos of the steps before it hear it, or allow it where nothing before it has an effect"
        how = f"on_dead of {each.queue} says" if failure in spoken else f"{each.queue} says"
        at, allow = (
            (each.on_dead, each.on_dead_allow) if failure in spoken and each.on_dead else (each.call, each.allow)
        )
        yield found("failure-undoes-nothing", at, allow, f"{how} {failure}, which {what}", way_out)


def _reaches(speaker: Subscription, step: Subscription, flows: Flows) -> bool:
    """Whether what is said there may reach the runs of this step."""
    undo = step.undone_by.undo if step.undone_by is not None else None
    return undo is not None and (undo.across or flows.may_meet(heard_by(speaker), types_of(step.heard)))


def _short_period(each: Subscription, shortest: timedelta) -> Iterator[Finding]:
    """A breaker that asks to be open for less than the replicas need to learn of it."""
    breaker = each.breaker
    if breaker is None or breaker.open_for >= shortest:
        return
    yield found(
        "period-short",
        each.call,
        each.allow,
        f"{breaker.name} of {each.queue} opens for {seconds(breaker.open_for.total_seconds())}, and replicas keep it "
        f"open for {seconds(shortest.total_seconds())} at least, two renewals, until all of them know",
        "give open_for= at least that, or allow it where the service runs on SQLite alone",
    )


def _names(names: set[str]) -> str:
    return ", ".join(sorted(names))
